import Queue
import Wire

// What expires is known of what this relay took in or was sent, and of what a sweep finds. Only what expires before the
// sweep after the next is remembered: until then it may be confirmed at any relay, and most messages are.

extension NATSRelayStore {
  /// Messages that are remembered; what comes on top is found by a later sweep.
  private static let rememberedExpiries = 100_000
  /// Between two looks at what a sweep finds.
  private static let sweepPace = Duration.seconds(1)

  public func expire(
    now: Instant, limit: Int, report: (HeldMessage) throws(StoreError) -> RelayDeposit?
  ) throws(StoreError) -> [HeldMessage] {
    try lookForExpiring(now: now)
    for message in delivery.all() where message.expires.map({ $0 <= now }) == true {
      expiring[message.number] = (message.expires ?? now, message.mailbox)
    }
    let due = expiring.filter { $0.value.expires <= now }
      .sorted { ($0.value.expires, $0.key) < ($1.value.expires, $1.key) }.prefix(max(0, limit))
    guard !due.isEmpty else { return [] }
    var expired: [(message: HeldMessage, reports: [UInt64])] = []
    for (entry, found) in zip(due, try link.messages(due.map(\.key), of: names.mail)) {
      let (number, mailbox) = (entry.key, entry.value.mailbox)
      // Not there: confirmed somewhere.
      guard let found, let deposit = NATSDeposit.parse(found.headers[.deposit], bytes: found.bytes) else {
        expiring[number] = nil
        continue
      }
      let message = HeldMessage(mailbox: mailbox, number: number, deposit: deposit)
      expired.append((message, try report(message).map { answer throws(StoreError) in try store(answer) } ?? []))
    }
    let removed = try remove(expired.map { MessageName($0.message.mailbox, $0.message.number) })
    // Another relay was faster, with a report of its own, or a recipient was.
    let others = zip(expired, removed).filter { !$1 }.flatMap { $0.0.reports }
    try link.delete(others, from: names.mail)
    counters.count(.envelopeExpired, times: UInt64(removed.count { $0 }))
    return zip(expired, removed).filter { $1 }.map(\.0.message)
  }

  public func nextExpiry() throws(StoreError) -> Instant? {
    // The first call begins a sweep.
    guard let lastExpiry, let began = sweepBegan else { return Instant(microseconds: .min) }
    let sweep =
      sweepIsBusy
      ? lastExpiry.advanced(by: NATSRelayStore.sweepPace) : began.advanced(by: configuration.sweepInterval)
    let arrived = delivery.all().compactMap(\.expires).min()
    return [sweep, arrived, expiring.values.lazy.map(\.expires).min()].compactMap { $0 }.min()
  }

  /// Takes what the sweep has found, and begins another one when it is time.
  private func lookForExpiring(now: Instant) throws(StoreError) {
    lastExpiry = now
    let age = sweepBegan.map { $0.duration(to: now) }
    // A clock that was set back counts as well.
    if age.map({ $0 >= configuration.sweepInterval || $0 < .zero }) != false {
      try sweep.start()
      sweepBegan = now
      sweepIsBusy = true
      return
    }
    let found = sweep.take()
    sweepIsBusy = !found.isEmpty
    for found in found { track(found.number, found.mailbox, expires: found.expires) }
  }

  func track(_ copy: Copy, _ deposit: Deposit) {
    guard let number = copy.number else { return }
    track(number, copy.mailbox, expires: deposit.expires)
  }

  private func track(_ number: UInt64, _ mailbox: Mailbox, expires: Instant?) {
    guard let expires, expiring.count < NATSRelayStore.rememberedExpiries else { return }
    // Before the first call no time is known.
    if let lastExpiry, lastExpiry.advanced(by: configuration.sweepInterval * 2) < expires { return }
    expiring[number] = (expires, mailbox)
  }
}
