import Foundation
import Queue
import Wire

extension NATSRelayStore {
  // MARK: Values

  public func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])] {
    var subjects: [String] = []
    // A server lists 100,000 at a time.
    while true {
      let info = try link.ask(
        NATSRequest(
          api: "STREAM.INFO.\(names.values)",
          NATSInfoRequest(subjectsFilter: "$KV.\(names.prefix).>", offset: subjects.count)))
      let listed = info.state?.subjects.map { Array($0.keys) } ?? []
      subjects += listed
      guard !listed.isEmpty, subjects.count < info.total ?? 0 else { break }
    }
    let wanted = subjects.compactMap { subject -> (name: String, subject: String)? in
      guard let name = names.valueName(subject: subject), name.utf8.starts(with: prefix.utf8) else { return nil }
      return (name, subject)
    }
    let requests = wanted.map { value in
      NATSRequest(
        api: "STREAM.MSG.GET.\(names.values)",
        NATSGetRequest(seq: nil, lastBySubj: value.subject, nextBySubj: nil))
    }
    var values: [(name: String, value: [UInt8])] = []
    for ((value, request), message) in zip(zip(wanted, requests), try link.exchange(requests)) {
      let answer = try link.parse(message, of: request)
      if let failure = answer.error {
        guard failure.isNotFound else { throw failure.storeError(request.subject) }
        continue
      }
      values.append((value.name, answer.message?.data.map { [UInt8]($0) } ?? []))
    }
    return values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  public func setValue(_ name: String, to value: [UInt8]) throws(StoreError) {
    _ = try link.ask(
      NATSRequest(subject: names.value(name), headers: [(.relay, names.relay)], bytes: value))
  }

  // MARK: Counters

  // A counter is a log of what was added to what. Servers of NATS 2.9 compare a value's revision before they agree on an
  // order, so that two relays may both succeed; the order itself is certain. In it an addition counts if it was made
  // to what those before it came to, and whoever made it looks whether it does. Nothing before an addition that counts
  // is needed, so the first that is kept always counts.

  public func advance(_ counter: String, by count: UInt64) throws(StoreError) -> UInt64 {
    let subject = names.counter(counter)
    // Each time another relay was faster.
    for _ in 0..<100 {
      let before = try sum(subject, upTo: nil)
      guard count > 0 else { return before.value }
      guard !before.value.addingReportingOverflow(count).overflow else {
        throw StoreError(.corrupt, detail: "counter \(counter) is used up")
      }
      let stored = try link.ask(NATSRequest(subject: subject, bytes: Array("\(before.value) \(count)".utf8)))
      guard let number = stored.seq, number > 0 else {
        throw StoreError(.failed, detail: "NATS, no number for \(subject)")
      }
      guard try sum(subject, upTo: number).counts else { continue }
      // Not waited for: what stays is removed next time. Number 1 would stand for all.
      if number > 1 {
        try link.send(
          NATSRequest(api: "STREAM.PURGE.\(names.counters)", NATSPurgeRequest(filter: subject, seq: number)))
      }
      return before.value
    }
    throw StoreError(.failed, detail: "counter \(counter): other relays were always faster")
  }

  /// What the additions come to, all of them or up to one, and whether that one counts.
  private func sum(_ subject: String, upTo last: UInt64?) throws(StoreError) -> (value: UInt64, counts: Bool) {
    let deadline = ContinuousClock.now + configuration.timeout
    while true {
      if let sum = try attemptSum(subject, upTo: last) { return sum }
      // Another relay removed what was being read, or this server does not know yet what was stored.
      guard deadline > .now else { throw StoreError(.failed, detail: "NATS, \(subject) cannot be read") }
      Thread.sleep(forTimeInterval: 0.005)
    }
  }

  private func attemptSum(_ subject: String, upTo last: UInt64?) throws(StoreError) -> (value: UInt64, counts: Bool)? {
    var value: UInt64?
    var next: UInt64 = 1
    while true {
      let request = NATSRequest(
        api: "STREAM.MSG.GET.\(names.counters)",
        NATSGetRequest(seq: next, lastBySubj: nil, nextBySubj: subject))
      guard let message = try link.find(request)?.message else { return last == nil ? (value ?? 0, false) : nil }
      guard let (base, count) = addition(message.data) else {
        throw StoreError(.corrupt, detail: "NATS, \(subject): message \(message.seq) is no addition")
      }
      // It was made to what this reading has not seen: something in between was removed.
      if let value, base > value { return nil }
      let counts = value == nil || base == value
      if counts { value = base + count }
      if let last, message.seq >= last { return message.seq == last ? (value ?? 0, counts) : (value ?? 0, false) }
      next = message.seq + 1
    }
  }

  private func addition(_ data: Data?) -> (base: UInt64, count: UInt64)? {
    let parts = data.flatMap { String(validating: $0, as: UTF8.self) }?.split(separator: " ") ?? []
    guard parts.count == 2, let base = UInt64(parts[0]), let count = UInt64(parts[1]),
      !base.addingReportingOverflow(count).overflow
    else { return nil }
    return (base, count)
  }
}
