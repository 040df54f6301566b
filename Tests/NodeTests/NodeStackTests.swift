import BorderRouter
import CoAP
import IEEE802154
import IPv6
import Node
import SixLoWPAN
import TestSupport
import Testing
import Wire

@Suite struct NodeStackTests {
  @Test("Large bodies travel in blocks of 64 bytes, each in one frame")
  func blocks() throws {
    let cell = Cell()
    cell.answers = { request in CoAPResponse(.content, payload: Array(request.payload.reversed())) }
    cell.start()
    cell.forget()
    let body = (0..<700).map { UInt8(truncatingIfNeeded: $0) }
    cell.ask(CoAPRequest(.post, path: ["e"], contentFormat: .coseSign1, payload: body))
    cell.run(for: .seconds(10))
    #expect(cell.requests.map(\.request.payload) == [body])
    #expect(cell.takeNodeEvents().responses.map(\.payload) == [Array(body.reversed())])
    // 11 blocks there and 11 back, the last of the one being the first of the other.
    #expect(cell.onAir.count == 2 * 21 && cell.lengths.max() ?? 0 <= 127)
  }

  @Test("A node answers requests, echo requests and probes")
  func serve() throws {
    let cell = Cell()
    cell.serves = { request in CoAPResponse(.content, payload: Array(request.uriPath.joined().utf8)) }
    cell.start()
    cell.askNode(CoAPRequest(.get, path: ["a", "b"]))
    #expect(cell.responses.map(\.payload) == [Array("ab".utf8)])
    cell.forget()
    let own = IPv6Address.linkLocal(Cell.device.interfaceIdentifier)
    let router = IPv6Address.linkLocal(Cell.border.interfaceIdentifier)
    let echo = try ICMPv6Message.encoded(source: router, destination: own, capacity: 12) { (writer) throws(EmitError) in
      try ICMPv6Echo(isReply: false, identifier: 1, sequenceNumber: 2).emit(into: &writer)
      try writer.u32(7)
    }
    cell.inject(try Self.frame(echo, hopLimit: 64, number: 1))
    let probe = try ICMPv6Message.encoded(source: router, destination: own, capacity: 24) {
      (writer) throws(EmitError) in
      try NeighborSolicitation(target: own).emit(into: &writer)
    }
    cell.inject(try Self.frame(probe, hopLimit: 255, number: 2))
    #expect(cell.onAir.map(\.source) == [.extended(Cell.device), .extended(Cell.device)])
    #expect(cell.takeNodeEvents().drops.isEmpty)
  }

  /// A frame of the router with an ICMPv6 message for the node.
  static func frame(
    _ message: [UInt8], hopLimit: UInt8, number: UInt8, from source: ExtendedAddress = Cell.border,
    to destination: ExtendedAddress = Cell.device
  ) throws -> [UInt8] {
    let header = MACHeader(
      type: .data, sequenceNumber: number, destinationPAN: Cell.pan, destination: .extended(destination),
      source: .extended(source), acknowledgmentRequested: true, panIdentifierCompressed: true)
    let packet = try IPv6Header(
      nextHeader: .icmpv6, hopLimit: hopLimit, source: .linkLocal(source.interfaceIdentifier),
      destination: .linkLocal(destination.interfaceIdentifier)
    ).packet(message)
    let link = LowpanLink(source: header.source, destination: header.destination)
    let payloads = try Fragmenter(room: 100, link: link).payloads(
      of: packet.rawSpan, contexts: ContextTable(), now: Instant(seconds: 0), tag: 1)
    return try MACFrame(header: header, payload: payloads[0]).encoded(withFCS: false)
  }

  @Test("Copies, frames for others and the node's own frames are dropped")
  func drops() throws {
    let cell = Cell()
    cell.start()
    _ = cell.takeNodeEvents()
    let own = IPv6Address.linkLocal(Cell.device.interfaceIdentifier)
    let router = IPv6Address.linkLocal(Cell.border.interfaceIdentifier)
    let message = try ICMPv6Message.encoded(source: router, destination: own, capacity: 24) {
      (writer) throws(EmitError) in try NeighborSolicitation(target: own).emit(into: &writer)
    }
    let frame = try Self.frame(message, hopLimit: 255, number: 1)
    for _ in 0..<2 { cell.inject(frame) }
    cell.inject(try Self.frame(message, hopLimit: 255, number: 2, to: ExtendedAddress(5)))
    cell.inject(try Self.frame(message, hopLimit: 255, number: 3, from: Cell.device, to: Cell.device))
    cell.inject(try Self.frame(message, hopLimit: 64, number: 4))
    #expect(cell.takeNodeEvents().drops == [.macDuplicate, .macNotForUs, .macOwnFrame, .ndHopLimitNot255])
    #expect(cell.dropped(.macDuplicate) == 1)
  }

  @Test("A request to a router that is silent fails once, and the node looks for a router again")
  func silence() {
    let cell = Cell()
    cell.start()
    _ = cell.takeNodeEvents()
    cell.loses = { _ in true }
    cell.ask(CoAPRequest(.get, path: ["e"]))
    cell.run(for: .seconds(120))
    #expect(cell.takeNodeEvents().failures == [.timeout])
    #expect(cell.onAir.contains { $0.destination.isBroadcast })
    cell.loses = { _ in false }
    cell.run(for: .seconds(70))
    cell.ask(CoAPRequest(.get, path: ["e"]))
    #expect(cell.takeNodeEvents().responses.count == 1)
  }

  @Test("Nothing that comes traps a node, and its queues keep their bounds", arguments: 1...8 as ClosedRange<UInt64>)
  func garbage(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let cell = Cell {
      $0.associates = seed.isMultiple(of: 2)
      if seed.isMultiple(of: 3) { $0.sleep = SleepSchedule() }
    }
    var recorded: [[UInt8]] = []
    cell.start()
    cell.run(for: .seconds(20))
    let own = IPv6Address.linkLocal(Cell.device.interfaceIdentifier)
    let router = IPv6Address.linkLocal(Cell.border.interfaceIdentifier)
    for type in [UInt8(128), 133, 134, 135, 136, 137] {
      for _ in 0..<4 {
        let rest = generator.bytes(in: 3...70)
        let message = try ICMPv6Message.encoded(source: router, destination: own, capacity: 80) {
          (writer) throws(EmitError) in try writer.bytes([type, 0, 0, 0] + rest)
        }
        recorded.append(try Self.frame(message, hopLimit: 255, number: generator.bytes(1)[0]))
      }
    }
    for _ in 0..<1_500 {
      var frame =
        generator.oneIn(5) ? generator.bytes(in: 0...125) : recorded[Int.random(in: 0..<24, using: &generator)]
      if generator.oneIn(2), !frame.isEmpty {
        let position = Int.random(in: frame.indices, using: &generator)
        frame[position] = generator.bytes(1)[0]
      }
      cell.inject(frame)
      if generator.oneIn(4) { cell.run(for: .milliseconds(Int.random(in: 0...5_000, using: &generator))) }
      let open = cell.openState
      #expect(open.queuedFrames <= 32 && open.datagrams <= 2)
    }
  }
}
