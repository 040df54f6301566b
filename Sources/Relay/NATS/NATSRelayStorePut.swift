import Foundation
import Queue
import Wire

// Custody in a cluster. For each message of a group, and for all of a group at once:
//
// 1. Its replay record is looked for. If there is one, nothing is stored and the record decides.
// 2. It is published for each mailbox, with an identifier that makes it be stored once however often that is tried.
// 3. Its replay record is stored, if there is none: the servers compare in the order in which they store.
//
// Only then is it acknowledged. A record is thus the proof that everything before it is stored; after a failure at any
// point there is none, and the sender's next try does again what is missing.

extension NATSRelayStore {
  public func put(_ group: [RelayDeposit]) throws(StoreError) -> [PutOutcome] {
    var outcomes: [Int: PutOutcome] = [:]
    var remaining = Array(group.indices)
    while !remaining.isEmpty {
      // A message that is twice in a group is decided when the first is.
      var keys: Set<ReplayKey> = []
      let round = remaining.filter { index in ReplayKey(group[index]).map { keys.insert($0).inserted } ?? true }
      remaining.removeAll { round.contains($0) }
      for (index, outcome) in zip(round, try take(round.map { group[$0] })) { outcomes[index] = outcome }
    }
    return group.indices.compactMap { outcomes[$0] }
  }

  public func replayed(
    _ sender: Bytes32, _ seq: UInt64, _ deduplication: Deduplication
  ) throws(StoreError) -> PutOutcome? {
    let key = ReplayKey(deduplication.scope, sender: sender, seq: seq)
    return try record(of: key).map { $0 == deduplication.digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes) }
  }

  /// One mailbox's copy of a message.
  struct Copy {
    /// Where in its group the message is, and where among its mailboxes this one.
    var item: Int
    var place: Int
    var mailbox: Mailbox
    var request: NATSRequest
    var result: Result = .failed

    enum Result {
      case stored(UInt64, isDuplicate: Bool)
      case refused(DropReason)
      case failed
    }
  }

  /// Messages with different keys.
  private func take(_ items: [RelayDeposit]) throws(StoreError) -> [PutOutcome] {
    var outcomes = try recorded(items)
    var copies: [Copy] = []
    for (index, item) in items.enumerated() where outcomes[index] == nil {
      for (place, mailbox) in item.mailboxes.enumerated() where !item.mailboxes[..<place].contains(mailbox) {
        copies.append(
          Copy(item: index, place: place, mailbox: mailbox, request: request(item, for: mailbox, identifier: nil)))
      }
    }
    try publish(&copies)
    for index in copies.indices {
      if case .refused(.queueNodeFull) = copies[index].result, items[copies[index].item].deposit.protectionClass == 0 {
        try displaceOldest(for: &copies[index])
      }
    }
    for (index, item) in items.enumerated() where outcomes[index] == nil {
      outcomes[index] = outcome(of: item, copies.filter { $0.item == index })
    }
    try remember(items, &outcomes, copies)
    for copy in copies { track(copy, items[copy.item].deposit) }
    return items.indices.compactMap { index in
      guard let outcome = outcomes[index] else { return nil }
      count(outcome)
      return outcome
    }
  }

  private func request(_ item: RelayDeposit, for mailbox: Mailbox, identifier: String?) -> NATSRequest {
    var request = NATSRequest(
      subject: names.mail(mailbox, class: item.deposit.protectionClass),
      headers: [(.deposit, NATSDeposit.header(item.deposit))], bytes: item.deposit.bytes)
    // With some of the digest: other bytes with the same number must not be taken for these, and lost.
    let ours = item.deduplication.map { deduplication in
      "\(item.deposit.sender).\(item.deposit.seq).\(names.token(mailbox)).\(Array(deduplication.digest.bytes.prefix(8)).hex)"
    }
    if let identifier = identifier ?? ours { request.headers.append((.messageID, identifier)) }
    return request
  }

  // MARK: Mail

  /// Publishes all copies; throws unless every one was stored or refused.
  func publish(_ copies: inout [Copy]) throws(StoreError) {
    for (index, answer) in zip(copies.indices, try link.exchange(copies.map(\.request))) {
      copies[index].result = try NATSRelayStore.result(try link.answer(to: copies[index].request, in: answer))
    }
  }

  private static func result(_ message: NATSMessage) throws(StoreError) -> Copy.Result {
    guard let answer = NATSPublishAnswer(message.bytes) else {
      throw StoreError(.failed, detail: "NATS, answer to a message not understood")
    }
    if let failure = answer.failure {
      guard let reason = failure.fullness else { throw failure.storeError("mail") }
      return .refused(reason)
    }
    // Without a number it is on its way and not stored yet.
    guard answer.seq > 0 else { throw StoreError(.failed, detail: "NATS, message not stored yet") }
    return .stored(answer.seq, isDuplicate: answer.isDuplicate)
  }

  /// Removes the oldest message of no consequence from a full mailbox and tries again.
  private func displaceOldest(for copy: inout Copy) throws(StoreError) {
    // Another relay may fill the place.
    for _ in 0..<3 {
      let find = NATSRequest(
        api: "STREAM.MSG.GET.\(names.mail)",
        NATSGetRequest(seq: 1, lastBySubj: nil, nextBySubj: copy.request.subject))
      if let oldest = try link.find(find)?.message {
        try confirm([MessageName(copy.mailbox, oldest.seq)])
        counters.count(.queueOldestDropped)
      }
      var again = [copy]
      try publish(&again)
      copy = again[0]
      if case .stored = copy.result { return }
    }
  }

  private func outcome(of item: RelayDeposit, _ copies: [Copy]) -> PutOutcome {
    var numbers = [UInt64?](repeating: nil, count: item.mailboxes.count)
    var refused: [PutOutcome.Refusal] = []
    for copy in copies {
      switch copy.result {
      case .stored(let number, _): numbers[copy.place] = number
      case .refused(let reason): refused.append(.init(mailbox: copy.mailbox, reason: reason))
      case .failed: break
      }
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

  // MARK: Replay records

  /// What the records say, by index, of those that have one. Asked of whichever server is nearest: one that does not know
  /// a record yet makes the message be stored again under its identifier, and then the record is found after all.
  private func recorded(_ items: [RelayDeposit]) throws(StoreError) -> [PutOutcome?] {
    var outcomes = [PutOutcome?](repeating: nil, count: items.count)
    let keyed = items.indices.filter { items[$0].deduplication != nil }
    let requests = keyed.compactMap { index in
      ReplayKey(items[index]).map { key in
        NATSRequest(api: "DIRECT.GET.\(names.seen).\(names.seen(key.scope, key.sender, key.seq))")
      }
    }
    for ((index, request), answer) in zip(zip(keyed, requests), try link.exchange(requests)) {
      let record = try link.answer(to: request, in: answer)
      guard record.status != 404 else { continue }
      guard record.status == nil, let digest = Bytes32(record.bytes) else {
        throw StoreError(.failed, detail: "NATS, \(request.subject): no replay record")
      }
      outcomes[index] =
        digest == items[index].deduplication?.digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes)
    }
    return outcomes
  }

  /// Stores the records of what is held; where another relay was faster its record decides.
  private func remember(
    _ items: [RelayDeposit], _ outcomes: inout [PutOutcome?], _ copies: [Copy]
  ) throws(StoreError) {
    var indices: [Int] = []
    var requests: [NATSRequest] = []
    for (index, item) in items.enumerated() {
      guard case .held? = outcomes[index], let key = ReplayKey(item), let digest = item.deduplication?.digest else {
        continue
      }
      // Published copies, or none that were wanted: not a verdict of the records.
      indices.append(index)
      requests.append(
        NATSRequest(
          subject: names.seen(key.scope, key.sender, key.seq), headers: [(.expectedLastSubjectSequence, "0")],
          bytes: digest.bytes))
    }
    for ((index, request), message) in zip(zip(indices, requests), try link.exchange(requests)) {
      guard let answer = NATSPublishAnswer(try link.answer(to: request, in: message).bytes) else {
        throw StoreError(.failed, detail: "NATS, answer to a replay record not understood")
      }
      guard let failure = answer.failure else { continue }
      guard failure.errCode == NATSErrorCode.wrongLastSequence else { throw failure.storeError(request.subject) }
      guard let key = ReplayKey(items[index]), let digest = try record(of: key) else {
        throw StoreError(.failed, detail: "NATS, \(request.subject): a replay record came and went")
      }
      if digest == items[index].deduplication?.digest {
        outcomes[index] = .alreadyHeld
      } else {
        // The sender signed two messages with one number, and the other one counts.
        outcomes[index] = .refused(.envelopeReplayOtherBytes)
        let stored = copies.compactMap { copy -> UInt64? in
          guard copy.item == index, case .stored(let number, isDuplicate: false) = copy.result else { return nil }
          return number
        }
        try link.delete(stored, from: names.mail)
      }
    }
  }

  /// A replay record, from the server that leads.
  private func record(of key: ReplayKey) throws(StoreError) -> Bytes32? {
    let request = NATSRequest(
      api: "STREAM.MSG.GET.\(names.seen)",
      NATSGetRequest(seq: nil, lastBySubj: names.seen(key.scope, key.sender, key.seq), nextBySubj: nil))
    guard let message = try link.find(request)?.message else { return nil }
    guard let digest = message.data.flatMap({ Bytes32([UInt8]($0)) }) else {
      throw StoreError(.corrupt, detail: "NATS, \(message.subject): no digest")
    }
    return digest
  }

  /// Stores a report about an expired message, once however many relays find it expired.
  func put(report: RelayDeposit, about expired: HeldMessage) throws(StoreError) {
    var copies: [Copy] = []
    for (place, mailbox) in report.mailboxes.enumerated() {
      let identifier = "expired.\(expired.number).\(names.token(mailbox))"
      copies.append(
        Copy(item: 0, place: place, mailbox: mailbox, request: request(report, for: mailbox, identifier: identifier)))
    }
    try publish(&copies)
    for copy in copies {
      if case .refused(let reason) = copy.result { counters.count(reason) }
      track(copy, report.deposit)
    }
  }
}

extension ReplayKey {
  fileprivate init?(_ item: RelayDeposit) {
    guard let deduplication = item.deduplication else { return nil }
    self.init(deduplication.scope, sender: item.deposit.sender, seq: item.deposit.seq)
  }
}

/// What a server answers when a message is published.
struct NATSPublishAnswer {
  var seq: UInt64 = 0
  var isDuplicate = false
  var failure: NATSAnswer.Failure?

  /// `nil` for what is no such answer.
  init?(_ bytes: [UInt8]) {
    // Nearly always `{"stream":"NAME","seq":NUMBER}`, which is worth reading without a decoder.
    if let end = bytes.firstRange(of: Array("\"seq\":".utf8))?.upperBound, bytes.last == UInt8(ascii: "}") {
      let digits = bytes[end...].dropLast()
      if !digits.isEmpty, digits.count < 20, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
      {
        seq = digits.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
        if seq > 0 { return }
      }
    }
    guard let answer = try? NATSCoding.decoder.decode(NATSAnswer.self, from: Data(bytes)) else { return nil }
    seq = answer.seq ?? 0
    isDuplicate = answer.duplicate ?? false
    failure = answer.error
  }
}
