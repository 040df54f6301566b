import IEEE802154
import IPv6
import SixLoWPAN
import Testing
import Wire

/// A receiver whose outcomes can be compared.
final class Reception {
  enum Outcome: Equatable {
    case packet([UInt8])
    case incomplete
    case dropped(DropReason)
  }

  private var receiver: LowpanReceiver
  var contexts = ContextTable()

  init(_ limits: ReassemblyLimits = ReassemblyLimits()) { receiver = LowpanReceiver(limits: limits) }

  func take(
    _ payload: [UInt8], from link: LowpanLink = Reception.link(1), at now: Instant = Headers.now
  ) -> Outcome {
    Self.take(payload, link, now, &receiver, contexts)
  }

  private static func take(
    _ payload: [UInt8], _ link: LowpanLink, _ now: Instant, _ receiver: inout LowpanReceiver,
    _ contexts: ContextTable
  ) -> Outcome {
    do throws(ParseError) {
      let reception = try receiver.receive(payload.rawSpan, link: link, contexts: contexts, now: now)
      guard case .datagram(let count) = reception else { return .incomplete }
      let packet = receiver.datagram.array()
      return packet.count == count ? .packet(packet) : .dropped(.lengthMismatch)
    } catch { return .dropped(error.reason) }
  }

  func expire(_ now: Instant) -> Int { receiver.reassembler.expire(now: now) }
  var count: Int { receiver.reassembler.count }
  var nextDeadline: Instant? { receiver.reassembler.nextDeadline }
  var mesh: MeshHeader? { receiver.mesh }
  var broadcast: BroadcastHeader? { receiver.broadcast }

  /// From the node `number` to the border router.
  static func link(_ number: UInt64) -> LowpanLink {
    LowpanLink(
      source: .extended(ExtendedAddress(0x0212_4b00_0000_0000 | number)), destination: .short(ShortAddress(0)))
  }

  /// A UDP packet of `count` bytes, 48 or more; `fill` tells packets apart.
  static func packet(_ count: Int, fill: UInt8 = 0) throws -> [UInt8] {
    let (source, destination) = (IPv6Address.linkLocal(1), IPv6Address.linkLocal(2))
    let udp = try UDPHeader.datagram(
      source: source, sourcePort: 5683, destination: destination, destinationPort: 5683,
      payload: (0..<count - 48).map { UInt8(truncatingIfNeeded: $0) ^ fill })
    return try IPv6Header(nextHeader: .udp, hopLimit: 64, source: source, destination: destination).packet(udp)
  }

  /// FRAG1 with the packet's first `end` bytes, uncompressed.
  static func first(_ packet: [UInt8], tag: UInt16 = 7, to end: Int) throws -> [UInt8] {
    try FirstFragmentHeader(datagramSize: UInt16(packet.count), tag: tag).encoded() + [0x41] + packet[..<end]
  }

  /// FRAGN with a part of the packet. `units` and `size` are said instead of the truth.
  static func next(
    _ packet: [UInt8], tag: UInt16 = 7, _ part: Range<Int>, units: UInt8? = nil, size: UInt16? = nil
  ) throws -> [UInt8] {
    let header = NextFragmentHeader(
      datagramSize: size ?? UInt16(packet.count), tag: tag, offset: units ?? UInt8(part.lowerBound / 8))
    return try header.encoded() + packet[part]
  }
}

@Suite struct ReassemblyTests {
  let packet: [UInt8]

  init() throws { packet = try Reception.packet(200) }

  @Test("A fragment that overlaps another discards the datagram (RFC 4944, 5.3)")
  func overlap() throws {
    for part in [88..<112, 96..<128, 80..<128, 88..<104, 96..<104] {
      let reception = Reception()
      #expect(reception.take(try Reception.first(packet, to: 80)) == .incomplete)
      #expect(reception.take(try Reception.next(packet, 88..<104)) == .incomplete)
      // The very same place is a copy, everything else that touches it is an overlap.
      let isCopy = part == 88..<104
      #expect(
        reception.take(try Reception.next(packet, part))
          == .dropped(isCopy ? .fragmentDuplicate : .fragmentOverlap), "\(part)")
      #expect(reception.count == (isCopy ? 1 : 0))
      guard !isCopy else { continue }
      // And it begins anew with what comes next.
      #expect(reception.take(try Reception.first(packet, to: 96)) == .incomplete)
      #expect(reception.take(try Reception.next(packet, 96..<200)) == .packet(packet))
    }
  }

  @Test("A later fragment that reaches into the first one discards the datagram")
  func overlapWithFirst() throws {
    let reception = Reception()
    #expect(reception.take(try Reception.first(packet, to: 80)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, 72..<200)) == .dropped(.fragmentOverlap))
    #expect(reception.count == 0)
  }

  @Test("A copy of a fragment is dropped and changes nothing, whatever is in it")
  func duplicate() throws {
    let other = try Reception.packet(200, fill: 0xff)
    let reception = Reception()
    #expect(reception.take(try Reception.next(packet, 80..<120)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, 80..<120)) == .dropped(.fragmentDuplicate))
    #expect(reception.take(try Reception.next(other, 80..<120)) == .dropped(.fragmentDuplicate))
    #expect(reception.take(try Reception.next(packet, 120..<200)) == .incomplete)
    #expect(reception.take(try Reception.first(packet, to: 80)) == .packet(packet))
  }

  @Test("A second FRAG1 with other content does not replace the first")
  func firstTwiceWithOtherContent() throws {
    let other = try Reception.packet(200, fill: 0x55)
    let reception = Reception()
    #expect(reception.take(try Reception.first(packet, to: 80)) == .incomplete)
    #expect(reception.take(try Reception.first(other, to: 80)) == .dropped(.fragmentDuplicate))
    #expect(reception.take(try Reception.next(packet, 80..<200)) == .packet(packet))
  }

  @Test("Fragments without a byte are refused and start nothing")
  func zeroLength() throws {
    let reception = Reception()
    let first = try FirstFragmentHeader(datagramSize: 200, tag: 7).encoded()
    #expect(reception.take(first) == .dropped(.fragmentZeroLength))
    #expect(reception.take(try Reception.next(packet, 80..<80)) == .dropped(.fragmentZeroLength))
    #expect(reception.take(try Reception.next(packet, 200..<200)) == .dropped(.fragmentZeroLength))
    // A datagram of no bytes is none either.
    #expect(reception.take(try Reception.next(packet, 80..<88, size: 0)) == .dropped(.fragmentOutOfRange))
    #expect(reception.count == 0)
  }

  @Test("A later fragment that tells another size is refused, and the datagram completes")
  func sizeMismatch() throws {
    let reception = Reception()
    #expect(reception.take(try Reception.first(packet, to: 80)) == .incomplete)
    for size in [UInt16(199), 201, 1_280] {
      let lie = try Reception.next(packet, 80..<120, size: size)
      #expect(reception.take(lie) == .dropped(.fragmentSizeMismatch))
    }
    #expect(reception.count == 1)
    #expect(reception.take(try Reception.next(packet, 80..<200)) == .packet(packet))
  }

  @Test("When all buffers are taken, who has one is still served and nobody is evicted")
  func exhaustion() throws {
    let reception = Reception(ReassemblyLimits(maximumDatagrams: 4))
    let first = try Reception.first(packet, to: 80)
    let last = try Reception.next(packet, 80..<200)
    for node in UInt64(1)...4 { #expect(reception.take(first, from: Reception.link(node)) == .incomplete) }
    #expect(reception.take(first, from: Reception.link(5)) == .dropped(.fragmentNoBuffer))
    // What fits in one frame needs no buffer.
    #expect(reception.take([0x41] + packet, from: Reception.link(5)) == .packet(packet))
    for node in UInt64(1)...4 { #expect(reception.take(last, from: Reception.link(node)) == .packet(packet)) }
    #expect(reception.take(first, from: Reception.link(5)) == .incomplete)
    #expect(reception.take(last, from: Reception.link(5)) == .packet(packet))
  }

  @Test("One source cannot take more than its share; others are still served")
  func exhaustionPerSource() throws {
    let large = try Reception.packet(1_280)
    let reception = Reception()
    for tag in UInt16(0)..<4 { #expect(reception.take(try Reception.first(large, tag: tag, to: 80)) == .incomplete) }
    #expect(reception.take(try Reception.first(large, tag: 4, to: 80)) == .dropped(.fragmentNodeQuota))
    #expect(
      reception.take(try Reception.first(large, to: 640), from: Reception.link(2)) == .incomplete)
    #expect(
      reception.take(try Reception.next(large, 640..<1_280), from: Reception.link(2)) == .packet(large))
    // Its own that are under way are served as well, and make room.
    #expect(reception.take(try Reception.next(large, tag: 0, 80..<1_280)) == .packet(large))
    #expect(reception.take(try Reception.first(large, tag: 4, to: 80)) == .incomplete)
  }

  @Test("Many small datagrams of one source count for a minimum each")
  func exhaustionBySmallDatagrams() throws {
    let small = try Reception.packet(56)
    let reception = Reception()
    var accepted = 0
    for tag in UInt16(0)..<100 {
      switch reception.take(try Reception.first(small, tag: tag, to: 48)) {
      case .incomplete: accepted += 1
      case let other: #expect(other == .dropped(.fragmentNodeQuota))
      }
    }
    #expect(accepted == ReassemblyLimits().bytesPerSource / ReassemblyLimits.minimumCharge)
  }

  @Test("Teardrops under several tags discard only their own datagram")
  func teardropAcrossTags() throws {
    let reception = Reception()
    for tag in UInt16(1)...3 { #expect(reception.take(try Reception.first(packet, tag: tag, to: 80)) == .incomplete) }
    // The same bytes under another tag, and from another node, are no overlap.
    #expect(reception.take(try Reception.next(packet, tag: 1, 80..<120)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, tag: 2, 96..<136)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, tag: 1, 96..<136), from: Reception.link(2)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, tag: 1, 96..<136)) == .dropped(.fragmentOverlap))
    #expect(reception.count == 3)
    #expect(reception.take(try Reception.next(packet, tag: 2, 80..<96)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, tag: 2, 136..<200)) == .packet(packet))
    #expect(reception.take(try Reception.next(packet, tag: 3, 80..<200)) == .packet(packet))
  }

  @Test("A flood of datagrams that never complete stays within the bound and is gone after the timeout")
  func neverCompletingFlood() throws {
    let reception = Reception()
    let first = try Reception.first(packet, to: 80)
    let last = try Reception.next(packet, 80..<200)
    #expect(reception.take(first, from: Reception.link(1)) == .incomplete)
    var refused = 0
    for node in UInt64(2)...10_000 {
      let outcome = reception.take(first, from: Reception.link(node))
      if outcome != .incomplete {
        #expect(outcome == .dropped(.fragmentNoBuffer))
        refused += 1
      }
    }
    let bound = ReassemblyLimits().maximumDatagrams
    #expect(reception.count == bound)
    #expect(refused == 10_000 - bound)
    #expect(reception.take(last, from: Reception.link(1)) == .packet(packet))
    let later = Headers.now.advanced(by: ReassemblyLimits().timeout)
    #expect(reception.take(first, from: Reception.link(20_000), at: later) == .incomplete)
    #expect(reception.count == 1)
    #expect(reception.expire(later) == bound - 1)
    #expect(reception.take(last, from: Reception.link(20_000), at: later) == .packet(packet))
  }

  @Test("An offset or an end beyond the size is refused and starts nothing")
  func offsetBeyondSize() throws {
    let reception = Reception()
    #expect(reception.take(try Reception.next(packet, 0..<8, units: 25)) == .dropped(.fragmentOutOfRange))
    #expect(reception.take(try Reception.next(packet, 0..<8, units: 255)) == .dropped(.fragmentOutOfRange))
    #expect(reception.take(try Reception.next(packet, 0..<16, units: 24)) == .dropped(.fragmentOutOfRange))
    #expect(reception.take(try Reception.next(packet, 0..<8, units: 255, size: 2_047)) == .dropped(.fragmentOutOfRange))
    #expect(reception.count == 0)
    // The last bytes that the fields can say.
    #expect(reception.take(try Reception.next(packet, 0..<7, units: 255, size: 2_047)) == .incomplete)
  }

  @Test("A later fragment at offset zero is refused: only FRAG1 says how its bytes are compressed")
  func laterFragmentAtZero() throws {
    #expect(Reception().take(try Reception.next(packet, 0..<80)) == .dropped(.fragmentMalformed))
  }

  @Test("Only the last fragment may have a length that is no multiple of 8")
  func misaligned() throws {
    let packet = try Reception.packet(203)
    let reception = Reception()
    #expect(reception.take(try Reception.next(packet, 80..<97)) == .dropped(.fragmentMisaligned))
    #expect(reception.take(try Reception.first(packet, to: 84)) == .dropped(.fragmentMisaligned))
    #expect(reception.count == 0)
    #expect(reception.take(try Reception.next(packet, 96..<203)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, 80..<95)) == .dropped(.fragmentMisaligned))
    #expect(reception.take(try Reception.first(packet, to: 80)) == .incomplete)
    #expect(reception.take(try Reception.next(packet, 80..<96)) == .packet(packet))
  }

  @Test("A datagram has the timeout from its first fragment on, by the clock handed in")
  func timeout() throws {
    let limits = ReassemblyLimits(timeout: .seconds(3))
    let reception = Reception(limits)
    let end = Headers.now.advanced(by: .seconds(3))
    let justBefore = end.advanced(by: .microseconds(-1))
    #expect(reception.nextDeadline == nil)
    #expect(reception.take(try Reception.first(packet, tag: 1, to: 80)) == .incomplete)
    #expect(reception.take(try Reception.first(packet, tag: 2, to: 80)) == .incomplete)
    #expect(reception.nextDeadline == end)
    // Fragments on the way do not prolong it.
    #expect(reception.take(try Reception.next(packet, tag: 2, 80..<88), at: justBefore) == .incomplete)
    #expect(reception.expire(justBefore) == 0)
    #expect(reception.take(try Reception.next(packet, tag: 1, 80..<200), at: justBefore) == .packet(packet))
    #expect(reception.take(try Reception.next(packet, tag: 2, 88..<200), at: end) == .incomplete)
    #expect(reception.expire(end) == 1)
    #expect(reception.expire(end) == 0)
    // The one that began at the end has its own time.
    #expect(reception.nextDeadline == end.advanced(by: .seconds(3)))
  }

  @Test("A datagram over the limit is refused by its first fragment and by later ones")
  func tooLong() throws {
    let reception = Reception(ReassemblyLimits(maximumDatagramSize: 199))
    #expect(reception.take(try Reception.first(packet, to: 80)) == .dropped(.lowpanDatagramTooLong))
    #expect(reception.take(try Reception.next(packet, 80..<200)) == .dropped(.lowpanDatagramTooLong))
    #expect(reception.count == 0)
  }

  @Test("Every beginning of a fragment's header is refused")
  func truncated() throws {
    let reception = Reception()
    for fragment in [try Reception.first(packet, to: 80), try Reception.next(packet, 80..<200)] {
      for length in 0..<5 {
        let outcome = reception.take(Array(fragment.prefix(length)))
        #expect(outcome == .dropped(.truncated) || outcome == .dropped(.fragmentZeroLength), "\(length)")
      }
    }
    #expect(reception.count == 0)
  }
}
