import Envelope
import Foundation
import NIOPosix
import Oracle
import Relay
import Synchronization
import Wire

/// Hands what the oracle has signed to the relays: first its access list to each, which is when a removed member is refused,
/// then, through any, the record to each member.
struct OraclePublisher {
  private let state: OracleState
  private let relays: [RelayClientConfiguration.Relay]
  private let trust: RelayClientConfiguration.Trust
  private let timeout: Int

  init(_ state: OracleState, trust: String, timeout: Int) throws {
    self.state = state
    self.timeout = timeout
    switch trust {
    case "identity": self.trust = .identity
    case "system": self.trust = .system
    default: self.trust = .file(trust)
    }
    relays = try state.oracle.record.relays.map { entry in
      guard let url = RelayURL(entry.url) else {
        throw Failure.cannotStart("relay URL '\(entry.url)' in the record: write one like coaps+tcp://relay.example")
      }
      return .init(url: url, address: entry.address)
    }
  }

  /// Throws ``Failure`` unless every relay has obeyed the list and taken the records.
  func run(json: Bool) async throws {
    let begun = ContinuousClock.now
    let epoch = state.oracle.record.version.epoch
    var failures: [String] = []
    var hasRecords = false
    for relay in relays {
      guard let member = state.oracle.member(relay.address) else { continue }
      var envelopes = [try state.signed(for: member)]
      // One relay is enough for the members, who ask all of them; the next ones are a reserve.
      // A node that signs nothing asks for nothing: its gateway knows what it must.
      let told = state.oracle.told.filter { $0.roles != .node || !$0.traits.contains(.vouched) }
      if !hasRecords { envelopes += try told.map { try state.signed(for: $0) } }
      do {
        let times = try await hand(envelopes, to: relay, since: begun)
        hasRecords = true
        if json {
          show(
            JSONOutput.line(
              Line(
                relay: relay.url.description, epoch: epoch, obeyedAfterMilliseconds: times.list,
                doneAfterMilliseconds: times.all, records: envelopes.count - 1)))
        } else {
          show(
            "\(relay.url): obeys epoch \(epoch) after \(times.list) ms, holds \(envelopes.count - 1) records")
        }
      } catch let failure as Failure { failures.append("\(relay.url): \(failure.description)") }
    }
    guard failures.isEmpty else {
      throw Failure(
        description: failures.joined(separator: "; ")
          + ": the epoch is kept; hand it in again with 'pangate oracle publish'", code: Exit.inputErrors)
    }
    state.published = epoch
  }

  /// What became of one relay.
  private struct Line: Encodable {
    var relay: String
    var epoch: UInt64
    var obeyedAfterMilliseconds: UInt64
    var doneAfterMilliseconds: UInt64
    var records: Int
  }

  /// One relay, in order; milliseconds until it obeyed the list.
  private func hand(
    _ envelopes: [SignedEnvelope], to relay: RelayClientConfiguration.Relay, since begun: ContinuousClock.Instant
  ) async throws -> (list: UInt64, all: UInt64) {
    var configuration = RelayClientConfiguration(relays: [relay], identity: state.oracle.identity)
    configuration.trust = trust
    let (events, input) = AsyncStream.makeStream(of: RelayClientEvent?.self)
    let client = RelayClient(
      configuration, group: MultiThreadedEventLoopGroup.singleton,
      clock: { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1e6)) }, receive: { input.yield($0) })
    let limit = Task { [timeout] in
      try await Task.sleep(for: .seconds(timeout))
      input.yield(nil)
    }
    defer { limit.cancel() }
    client.start()
    // The list goes alone: a record must not wait for a member whom it removes.
    client.submit(envelopes[0].bytes, number: 0)
    var (open, last) = (1, "no answer")
    var listed: UInt64 = 0
    func elapsed() -> UInt64 {
      let time = (ContinuousClock.now - begun).components
      return UInt64(time.seconds * 1000 + time.attoseconds / 1_000_000_000_000_000)
    }
    for await event in events {
      guard let event else {
        await client.stop()
        throw Failure(description: "\(last) within \(timeout) seconds", code: Exit.inputErrors)
      }
      switch event {
      case .down(_, let reason):
        last = reason
      case .answered(let number, .custody):
        open -= 1
        if number == 0 {
          listed = elapsed()
          for (index, envelope) in envelopes.enumerated().dropFirst() {
            open += 1
            client.submit(envelope.bytes, number: UInt64(index))
          }
        }
      case .answered(let number, .refused(let code, let reason)):
        await client.stop()
        throw Failure(
          description:
            "refuses \(number == 0 ? "the access list" : "a record"): \(reason ?? "code \(code >> 5).\(code & 31)")",
          code: Exit.inputErrors)
      case .delivery(let delivery):
        // Receipts of members, which nobody reads here.
        delivery.answer(.taken)
      default: break
      }
      if open == 0 { break }
    }
    await client.stop()
    return (listed, elapsed())
  }
}
