import AttackMatrix
import Bridge
import CoAP
import Envelope
import Foundation
import Queue
import Testing
import Wire

/// Executes each cell of the matrix against gateway, relay, endpoint and node, with real keys.
@Suite struct AttackMatrixTests {
  @Test("Every combination is executed or says why it cannot occur") func complete() throws {
    #expect(AttackMatrix.cells.count == AttackMatrix.Channel.all.count * AttackMatrix.Attack.allCases.count)
    #expect(AttackMatrix.Channel.all.count == 32 && Set(AttackMatrix.cells).count == AttackMatrix.cells.count)
    for cell in AttackMatrix.cells {
      switch cell.expectation {
      case .notApplicable(let reason): #expect(!reason.isEmpty)
      case .executed(let verdicts, let gain):
        #expect(verdicts.count == 3 && !gain.isEmpty && verdicts.contains { $0 != .unreached }, "\(cell)")
      }
    }
    // A path that is allowed and one that is refused show for each class that a node can have, and every attack is
    // executed somewhere.
    let executed = AttackMatrix.cells.compactMap { cell -> (AttackMatrix.Cell, [AttackMatrix.Verdict])? in
      if case .executed(let verdicts, _) = cell.expectation { (cell, verdicts) } else { nil }
    }
    for attack in AttackMatrix.Attack.allCases where attack != .none && attack != .reorder {
      let verdicts = executed.filter { $0.0.attack == attack }.flatMap(\.1)
      #expect(verdicts.contains { if case .refuses = $0 { true } else { $0 == .repeats } }, "\(attack)")
    }
    for protection in AttackMatrix.Protection.allCases {
      let own = executed.filter { $0.0.channel.protection == protection && $0.0.attack == .none }
      #expect(own.contains { $0.1.allSatisfy { $0 == .accepts || $0 == .unreached } || protection == .stream })
      #expect(
        own.contains { $0.1.contains { if case .refuses = $0 { true } else { false } } } || protection == .noConsequence
      )
    }
  }

  @Test("Each hop answers as the table says", arguments: AttackMatrix.Channel.all) func executed(
    _ channel: AttackMatrix.Channel
  ) throws {
    let group = try MatrixGroup.shared.get()
    for cell in AttackMatrix.cells where cell.channel == channel {
      guard case .executed(let verdicts, _) = cell.expectation else { continue }
      for (hop, expected) in zip(channel.direction.hops, verdicts) where expected != .unreached {
        let verdict = try Execution(group: group, channel: channel, attack: cell.attack, hop: hop).verdict()
        #expect(
          verdict == expected, "\(channel.protection) \(channel.direction) \(channel.path): \(cell.attack) at \(hop)")
      }
    }
  }

  @Test("Docs/THREATS.md holds the table as it is: tools/print-matrix writes it") func printed() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../Docs/THREATS.md")
    let document = try String(contentsOf: path, encoding: .utf8)
    #expect(try #require(AttackMatrix.update(document)) == document)
  }

  @Test("For a confidential server its gateway may carry what is protected end to end, and say nothing else")
  func carried() throws {
    let group = try MatrixGroup.shared.get()
    var traffic = try Traffic.vouched(group, for: "blinds")
    traffic.class = .authOnly
    let oscore = EncapsulatedMessage(
      code: CoAPCode.changed.rawValue, options: [.init(CoAPOptionNumber.oscore.rawValue, [])],
      payload: [UInt8](repeating: 0xa5, count: 20))
    var readable = oscore
    readable.options = []
    for (message, verdict) in [
      (oscore, AttackMatrix.Verdict.accepts), (readable, .refuses(.envelopeOnBehalfOfRefused)),
    ] {
      traffic.contents = [.init(format: ContentFormats.coapMessage, bytes: try message.cbor())]
      let envelope = try traffic.genuine()
      var (relay, reader) = (try RelayHop(group, client: "gateway"), try ReaderHop(group, "owner"))
      #expect(try relay.judge(.envelope(envelope.bytes)) == verdict)
      #expect(try reader.judge(.envelope(envelope.bytes)) == verdict)
    }
  }

  @Test("After a crash a gateway gives higher numbers to what it signs") func numbersRise() throws {
    var gateway = try GatewayHop(try MatrixGroup.shared.get(), .up, node: "rain")
    #expect(try gateway.judge(.plain([1], id: 1)) == .accepts)
    #expect(try gateway.judge(.restart) == .accepts)
    #expect(try gateway.judge(.plain([2], id: 2)) == .accepts)
    let numbers = try gateway.outbound().map(\.header.sequence)
    #expect(numbers.count == 2 && numbers[0] < numbers[1])
  }
}
