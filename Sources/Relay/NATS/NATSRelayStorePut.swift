import Queue
import Wire

// Custody in a cluster. For each message of a group, and for all of a group at once:
//
// 1. Its replay record is looked for. If there is one, nothing is stored and the record decides.
// 2. It is published for each mailbox.
// 3. Its replay record is stored, if there is none: the servers compare in the order in which they store.
//
// Only then is it acknowledged. A record is thus the proof that everything before it is stored; after a failure at any
// point there is none, and the sender's next try does again what is missing. What was stored is remembered here and is not
// stored again; a try at another relay stores it twice, which its recipient recognises.
//
// NATS could leave out what it has stored lately under a `Nats-Msg-Id`. But the servers of a cluster remember that each for
// itself and not on disk: one that starts again while others left something out (NATS 2.9.10) counts messages
// differently from then on, and was seen to end or to give its copy up. For the same reason mailboxes that are known to be full
// are not tried.

extension NATSRelayStore {
  public func put(_ group: [RelayDeposit]) throws(StoreError) -> [PutOutcome] {
    var outcomes: [Int: PutOutcome] = [:]
    var remaining = Array(group.indices)
    while !remaining.isEmpty {
      // A message that is twice in a group is decided when the first is.
      var keys: Set<ReplayKey> = []
      let round = Set(remaining.filter { index in ReplayKey(group[index]).map { keys.insert($0).inserted } ?? true })
      let now = remaining.filter { round.contains($0) }
      remaining.removeAll { round.contains($0) }
      for (index, outcome) in zip(now, try take(now.map { group[$0] })) { outcomes[index] = outcome }
    }
    return group.indices.compactMap { outcomes[$0] }
  }

  /// One mailbox's copy of a message.
  struct Copy {
    /// Where in its group the message is, and where among its mailboxes this one.
    var item: Int
    var place: Int
    var mailbox: Mailbox
    var request: NATSRequest
    var result: Result = .untried

    enum Result {
      case untried
      case stored(UInt64)
      case refused(DropReason)
      case failed(StoreError)
    }

    var number: UInt64? {
      guard case .stored(let number) = result else { return nil }
      return number
    }

    var failure: StoreError? {
      guard case .failed(let error) = result else { return nil }
      return error
    }
  }

  /// Messages with different keys.
  private func take(_ items: [RelayDeposit]) throws(StoreError) -> [PutOutcome] {
    var outcomes = try recorded(items)
    var copies: [Copy] = []
    for (index, item) in items.enumerated() where outcomes[index] == nil {
      let before = unrecorded(item)
      for (place, mailbox) in item.mailboxes.enumerated() where !item.mailboxes[..<place].contains(mailbox) {
        var copy = Copy(item: index, place: place, mailbox: mailbox, request: request(item.deposit, for: mailbox))
        if let number = before[mailbox] { copy.result = .stored(number) }
        copies.append(copy)
      }
    }
    try publish(&copies)
    for copy in copies { track(copy, items[copy.item].deposit) }
    let failures = copies.compactMap { copy in copy.failure.map { (copy.item, $0) } }
    let incomplete = Set(failures.map(\.0))
    let byItem = Dictionary(grouping: copies, by: \.item)
    for (index, item) in items.enumerated() where outcomes[index] == nil {
      let ofItem = byItem[index] ?? []
      remember(item, unrecorded: ofItem)
      if !incomplete.contains(index) { outcomes[index] = outcome(of: item, ofItem) }
    }
    // Also if this throws in the end: what is complete is told from what is not when it is tried again.
    if failures.isEmpty || copies.contains(where: { $0.number != nil }) { try record(items, &outcomes, byItem) }
    if let (_, failure) = failures.first { throw failure }
    return items.indices.compactMap { index in
      guard let outcome = outcomes[index] else { return nil }
      count(outcome)
      return outcome
    }
  }

  private func request(_ deposit: Deposit, for mailbox: Mailbox) -> NATSRequest {
    NATSRequest(
      subject: names.mail(mailbox, class: deposit.protectionClass),
      headers: [(.deposit, NATSDeposit.header(deposit))], bytes: deposit.bytes)
  }

  /// Stores a message of the relay's own for each mailbox, and says under which numbers.
  func store(_ item: RelayDeposit) throws(StoreError) -> [UInt64] {
    var copies = item.mailboxes.enumerated().map { place, mailbox in
      Copy(item: 0, place: place, mailbox: mailbox, request: request(item.deposit, for: mailbox))
    }
    try publish(&copies)
    for copy in copies {
      track(copy, item.deposit)
      if let failure = copy.failure { throw failure }
      if case .refused(let reason) = copy.result { counters.count(reason) }
    }
    return copies.compactMap(\.number)
  }

  // MARK: Mail

  /// Publishes what is not stored yet, and says of each copy what became of it.
  private func publish(_ copies: inout [Copy]) throws(StoreError) {
    try makeRoom(for: &copies)
    try attempt(&copies)
    // The first that a full mailbox refuses: from then on it is known to be full.
    let refused = copies.indices.filter { index in
      guard case .refused(.queueNodeFull) = copies[index].result else { return false }
      return !fullSubjects.contains(copies[index].request.subject)
    }
    guard !refused.isEmpty else { return }
    for index in refused {
      if fullSubjects.count < 10_000 { fullSubjects.insert(copies[index].request.subject) }
      if copies[index].request.subject.hasSuffix(NATSNames.spare) { copies[index].result = .untried }
    }
    try makeRoom(for: &copies)
    try attempt(&copies)
  }

  private func attempt(_ copies: inout [Copy]) throws(StoreError) {
    let untried = copies.indices.filter { index in
      if case .untried = copies[index].result { true } else { false }
    }
    for (index, message) in zip(untried, try link.exchange(untried.map { copies[$0].request })) {
      do throws(StoreError) {
        copies[index].result = try result(message, of: copies[index].request)
      } catch {
        copies[index].result = .failed(error)
      }
    }
  }

  private func result(_ message: NATSMessage?, of request: NATSRequest) throws(StoreError) -> Copy.Result {
    let answer = try link.published(message, of: request)
    if let failure = answer.failure {
      guard let reason = failure.fullness else { throw failure.storeError(request.subject) }
      return .refused(reason)
    }
    return .stored(answer.seq)
  }

  /// Refuses what is for mailboxes that are known to be full and still are, and removes the oldest messages from those
  /// where they give way.
  private func makeRoom(for copies: inout [Copy]) throws(StoreError) {
    let doubtful = Set(
      copies.compactMap { copy -> String? in
        guard case .untried = copy.result else { return nil }
        return fullSubjects.contains(copy.request.subject) ? copy.request.subject : nil
      })
    guard !doubtful.isEmpty else { return }
    let subjects = Array(doubtful)
    let ask = subjects.map {
      NATSRequest(api: "STREAM.INFO.\(names.mail)", NATSInfoRequest(subjectsFilter: $0, offset: nil))
    }
    let limit = configuration.limits.mailbox.messages
    for ((subject, request), message) in zip(zip(subjects, ask), try link.exchange(ask)) {
      let answer = try link.parse(message, of: request)
      if let failure = answer.error { throw failure.storeError(request.subject) }
      let held = answer.state?.subjects?[subject] ?? 0
      let indices = copies.indices.filter { index in
        if case .untried = copies[index].result { copies[index].request.subject == subject } else { false }
      }
      if held + indices.count <= limit { fullSubjects.remove(subject) }
      let excess = max(0, held + indices.count - limit)
      guard excess > 0 else { continue }
      if subject.hasSuffix(NATSNames.spare) {
        try removeOldest(min(excess, held), of: subject)
        // More at once than a mailbox holds.
        for index in indices.prefix(max(0, excess - held)) { copies[index].result = .refused(.queueNodeFull) }
      } else {
        for index in indices.suffix(excess) { copies[index].result = .refused(.queueNodeFull) }
      }
    }
  }

  /// One after the other, since the number of the next is not known before.
  private func removeOldest(_ count: Int, of subject: String) throws(StoreError) {
    var numbers: [UInt64] = []
    for _ in 0..<count {
      let find = NATSRequest(
        api: "STREAM.MSG.GET.\(names.mail)",
        NATSGetRequest(seq: (numbers.last ?? 0) + 1, lastBySubj: nil, nextBySubj: subject))
      guard let oldest = try link.find(find)?.message else { break }
      numbers.append(oldest.seq)
    }
    guard let mailbox = names.mailbox(subject: subject) else { return }
    try remove(numbers.map { MessageName(mailbox, $0) })
    counters.count(.queueOldestDropped, times: UInt64(numbers.count))
  }

  private func outcome(of item: RelayDeposit, _ copies: [Copy]) -> PutOutcome {
    var numbers = [UInt64?](repeating: nil, count: item.mailboxes.count)
    var refused: [PutOutcome.Refusal] = []
    for copy in copies {
      numbers[copy.place] = copy.number
      if case .refused(let reason) = copy.result { refused.append(.init(mailbox: copy.mailbox, reason: reason)) }
    }
    if refused.count == copies.count, let first = refused.first { return .refused(first.reason) }
    return .held(numbers: numbers, refused: refused)
  }

  private func count(_ outcome: PutOutcome) {
    switch outcome {
    case .alreadyHeld: counters.count(.envelopeReplay)
    case .refused(let reason): counters.count(reason)
    case .held(_, let refused): for refusal in refused { counters.count(refusal.reason) }
    }
  }
}
