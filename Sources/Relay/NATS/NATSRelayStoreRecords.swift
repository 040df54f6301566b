import Foundation
import Queue
import Wire

// Replay records: the digest of what was taken and who took it, one for each scope, sender and sequence number.

extension NATSRelayStore {
  /// What was stored of a message that has no record yet.
  struct Unrecorded {
    var digest: Bytes32
    var numbers: [Mailbox: UInt64]
  }

  /// What a record holds: 32 bytes, and the name of a relay.
  private struct Record {
    var digest: Bytes32
    var relay: Substring

    init?(_ bytes: [UInt8]) {
      guard let digest = Bytes32(Array(bytes.prefix(32))) else { return nil }
      self.digest = digest
      relay = Substring(decoding: bytes.dropFirst(32), as: UTF8.self)
    }
  }

  /// Messages of which this is remembered: those of the tries that failed lately.
  private static let rememberedTries = 10_000

  public func replayed(
    _ sender: Bytes32, _ seq: UInt64, _ deduplication: Deduplication
  ) throws(StoreError) -> PutOutcome? {
    let key = ReplayKey(deduplication.scope, sender: sender, seq: seq)
    return try record(of: key).map {
      $0.digest == deduplication.digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes)
    }
  }

  /// Under which numbers a message was stored in earlier tries.
  func unrecorded(_ item: RelayDeposit) -> [Mailbox: UInt64] {
    guard let key = ReplayKey(item), let known = unrecorded[key] else { return [:] }
    return known.digest == item.deduplication?.digest ? known.numbers : [:]
  }

  func remember(_ item: RelayDeposit, unrecorded copies: [Copy]) {
    guard let key = ReplayKey(item), let digest = item.deduplication?.digest else { return }
    var numbers: [Mailbox: UInt64] = [:]
    for copy in copies {
      if let number = copy.number { numbers[copy.mailbox] = number }
    }
    guard !numbers.isEmpty else { return }
    if unrecorded.count >= NATSRelayStore.rememberedTries { unrecorded.removeAll() }
    unrecorded[key] = Unrecorded(digest: digest, numbers: numbers)
  }

  /// What the records say, by index, of those that have one. Asked of the server that leads: another one may have fallen behind
  /// and know nothing of what was taken.
  func recorded(_ items: [RelayDeposit]) throws(StoreError) -> [PutOutcome?] {
    var outcomes = [PutOutcome?](repeating: nil, count: items.count)
    var keyed: [(index: Int, digest: Bytes32)] = []
    var requests: [NATSRequest] = []
    for (index, item) in items.enumerated() {
      guard let key = ReplayKey(item), let digest = item.deduplication?.digest else { continue }
      keyed.append((index, digest))
      requests.append(recordRequest(key))
    }
    for (((index, digest), request), answer) in zip(zip(keyed, requests), try link.exchange(requests)) {
      // Nearly all of them.
      if answer?.isMessageNotFound == true { continue }
      guard let known = try record(in: try link.found(answer, of: request)) else { continue }
      outcomes[index] = known.digest == digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes)
    }
    return outcomes
  }

  /// Stores the records of what is held; where another relay was faster its record decides.
  func record(
    _ items: [RelayDeposit], _ outcomes: inout [PutOutcome?], _ copies: [Int: [Copy]]
  ) throws(StoreError) {
    var keyed: [(index: Int, key: ReplayKey, digest: Bytes32)] = []
    var requests: [NATSRequest] = []
    for (index, item) in items.enumerated() {
      guard case .held? = outcomes[index], let key = ReplayKey(item), let digest = item.deduplication?.digest else {
        continue
      }
      keyed.append((index, key, digest))
      requests.append(
        NATSRequest(
          subject: names.seen(key), headers: [(.expectedLastSubjectSequence, "0")],
          bytes: digest.bytes + Array(names.relay.utf8)))
    }
    var failure: StoreError?
    for ((keyed, request), message) in zip(zip(keyed, requests), try link.exchange(requests)) {
      do throws(StoreError) {
        if let other = try other(message, of: request, key: keyed.key) {
          outcomes[keyed.index] = other.digest == keyed.digest ? .alreadyHeld : .refused(.envelopeReplayOtherBytes)
          // Stored twice; or the sender signed two messages with one number, and the other one counts. But a record of this
          // relay's own, whose answer was lost, may vouch for just these copies.
          if other.digest != keyed.digest || other.relay != names.relay {
            try link.delete((copies[keyed.index] ?? []).compactMap(\.number), from: names.mail)
          }
        }
        unrecorded[keyed.key] = nil
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// The record that was there before, if there was one.
  private func other(
    _ message: NATSMessage?, of request: NATSRequest, key: ReplayKey
  ) throws(StoreError) -> Record? {
    guard let refusal = try link.published(message, of: request).failure else { return nil }
    guard refusal.errCode == NATSErrorCode.wrongLastSequence else { throw refusal.storeError(request.subject) }
    guard let record = try record(of: key) else {
      throw StoreError(.failed, detail: "NATS, \(request.subject): a replay record came and went")
    }
    return record
  }

  private func record(of key: ReplayKey) throws(StoreError) -> Record? {
    try record(in: try link.find(recordRequest(key)))
  }

  private func recordRequest(_ key: ReplayKey) -> NATSRequest {
    NATSRequest(
      api: "STREAM.MSG.GET.\(names.seen)", NATSGetRequest(seq: nil, lastBySubj: names.seen(key), nextBySubj: nil))
  }

  private func record(in answer: NATSAnswer?) throws(StoreError) -> Record? {
    guard let message = answer?.message else { return nil }
    guard let record = message.data.flatMap({ Record([UInt8]($0)) }) else {
      throw StoreError(.corrupt, detail: "NATS, \(message.subject): no digest")
    }
    return record
  }
}

extension ReplayKey {
  /// Of a message that may have been taken before.
  init?(_ item: RelayDeposit) {
    guard let deduplication = item.deduplication else { return nil }
    self.init(deduplication.scope, sender: item.deposit.sender, seq: item.deposit.seq)
  }
}

/// What a server answers when a message is published.
struct NATSPublishAnswer {
  /// At least 1 if there is no failure.
  var seq: UInt64 = 0
  var failure: NATSAnswer.Failure?

  /// `nil` for what is no such answer.
  init?(_ bytes: [UInt8]) {
    // Nearly always `{"stream":"NAME","seq":NUMBER}`, which is worth reading without a decoder.
    if bytes.last == UInt8(ascii: "}"), let colon = bytes.lastIndex(of: UInt8(ascii: ":")),
      bytes[..<colon].suffix(6).elementsEqual(#","seq""#.utf8),
      let number = UInt64(digits: bytes[(colon + 1)...].dropLast())
    {
      seq = number
      if seq > 0 { return }
    }
    guard let answer = try? NATSCoding.decoder.decode(NATSAnswer.self, from: Data(bytes)) else { return nil }
    seq = answer.seq ?? 0
    failure = answer.error
    // Without a number it is on its way and not stored yet.
    if seq == 0, failure == nil { return nil }
  }
}

extension UInt64 {
  /// `nil` unless it is at most 19 digits.
  fileprivate init?(digits: ArraySlice<UInt8>) {
    guard (1...19).contains(digits.count) else { return nil }
    self = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      self = self * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
  }
}

extension NATSLink {
  /// The answer to a message that was published.
  func published(_ message: NATSMessage?, of request: NATSRequest) throws(StoreError) -> NATSPublishAnswer {
    guard let answer = NATSPublishAnswer(try answer(to: request, in: message).bytes) else {
      throw StoreError(.failed, detail: "NATS, \(request.subject): not stored")
    }
    return answer
  }
}
