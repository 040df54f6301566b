import IEEE802154
import IPv6
import SixLoWPAN
import TestSupport
import Testing
import Wire

/// Random packets that exercise the rules: addresses near the link's and the contexts', chains of headers.
struct PacketGenerator {
  var random: SeededGenerator
  var contexts = ContextTable()
  private var prefixes: [IPv6Prefix] = []

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    for identifier in 0..<UInt8(16) where random.oneIn(2) {
      let length = [0, 16, 48, 64, 64, 64, 80, 112, 120, 128].randomElement(using: &random) ?? 64
      let high = [0xfd << 56 | random.next() >> 8, 0xfe80 << 48, 0x2001_0db8 << 32].randomElement(
        using: &random)
      let prefix = IPv6Prefix(IPv6Address(high: high ?? 0, low: random.next()), length: UInt8(length))
      contexts.set(identifier, prefix: prefix, compress: !random.oneIn(8), expires: nil)
      prefixes.append(prefix)
    }
  }

  mutating func pick<T>(_ values: T...) -> T { values[Int(random.next() % UInt64(values.count))] }
  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next()) }
  mutating func word() -> UInt16 { UInt16(truncatingIfNeeded: random.next()) }

  mutating func macAddress() -> MACAddress {
    switch random.next() % 5 {
    case 0: .absent
    case 1, 2: .short(ShortAddress(pick(0xffff, word())))
    default: .extended(ExtendedAddress(random.next()))
    }
  }

  mutating func address(near link: MACAddress) -> IPv6Address {
    let identifier = pick(
      link.interfaceIdentifier ?? 0, IPv6Address.interfaceIdentifier(shortAddress: word()), random.next(), 1)
    switch random.next() % 8 {
    case 0: return .unspecified
    case 1: return IPv6Address(high: random.next(), low: identifier)
    case 2: return IPv6Address(high: 0xfe80 << 48 | UInt64(pick(0, 0, byte())), low: identifier)
    case 3, 4: return .linkLocal(identifier)
    default:
      let prefix = prefixes.randomElement(using: &random) ?? IPv6Prefix(.loopback, length: 64)
      return prefix.address(interfaceIdentifier: identifier)
    }
  }

  mutating func multicast() -> IPv6Address {
    let flagsAndScope = UInt64(pick(2, 5, byte()))
    let group = random.next() >> UInt64(pick(0, 8, 24, 32, 40, 48, 56))
    guard random.oneIn(2), let prefix = prefixes.randomElement(using: &random) else {
      return IPv6Address(high: 0xff << 56 | flagsAndScope << 48, low: group)
    }
    let length = UInt64(pick(prefix.length, byte()))
    let high = 0xff << 56 | flagsAndScope << 48 | UInt64(byte()) << 40 | length << 32
    return IPv6Address(
      high: high | prefix.address.high >> 32, low: prefix.address.high << 32 | group & 0xffff_ffff)
  }

  /// A whole packet whose chain is at most `depth` headers.
  mutating func packet(_ link: LowpanLink, depth: Int = 4) throws -> [UInt8] {
    let source = address(near: link.source)
    let destination = random.oneIn(3) ? multicast() : address(near: link.destination)
    let (next, payload) = try body(source, destination, depth)
    return try IPv6Header(
      trafficClass: pick(0, 0, byte(), byte() & 3), flowLabel: UInt32(pick(0, 0, random.next() & 0xf_ffff)),
      nextHeader: next, hopLimit: pick(1, 64, 255, byte()), source: source, destination: destination
    ).packet(payload)
  }

  private mutating func body(
    _ source: IPv6Address, _ destination: IPv6Address, _ depth: Int
  ) throws -> (NextHeader, [UInt8]) {
    switch random.next() % (depth > 0 ? 8 : 3) {
    case 0: return (.udp, try udp(source, destination))
    case 1: return (pick(.icmpv6, .icmpv6, .tcp, .noNextHeader), filler(80))
    case 2: return (NextHeader(rawValue: byte()), filler(40))
    case 3:
      let outer = LowpanLink(
        source: .extended(ExtendedAddress(source.low ^ 0x0200_0000_0000_0000)),
        destination: .extended(ExtendedAddress(destination.low ^ 0x0200_0000_0000_0000)))
      return (.ipv6, try packet(outer, depth: depth - 1))
    default:
      let kind = pick(
        .hopByHop, .routing, .fragment, .destinationOptions, .mobility, NextHeader.authentication)
      let (next, rest) = try body(source, destination, depth - 1)
      return (kind, extensionHeader(kind, next) + rest)
    }
  }

  private mutating func udp(_ source: IPv6Address, _ destination: IPv6Address) throws -> [UInt8] {
    var ports: [UInt16] = []
    for _ in 0..<2 { ports.append(pick(word(), 0xf000 | word() & 0xff, 0xf0b0 | word() & 15, 5683)) }
    var datagram = try UDPHeader.datagram(
      source: source, sourcePort: ports[0], destination: destination, destinationPort: ports[1],
      payload: filler(120))
    // A length or a checksum that is wrong, which must come through as it is.
    if random.oneIn(8) { datagram[pick(4, 5, 6, 7)] ^= byte() }
    return datagram
  }

  private mutating func extensionHeader(_ kind: NextHeader, _ next: NextHeader) -> [UInt8] {
    if kind == .fragment {
      return [next.rawValue, pick(0, 0, 0, byte()), pick(0, 0, byte()), pick(0, 1, byte())] + random.bytes(4)
    }
    let units = Int(pick(0, 0, 1, 2, byte() & 0x3f))
    // The length of an authentication header is in units of 4 bytes.
    if kind == .authentication { return [next.rawValue, UInt8(units * 2)] + random.bytes(units * 8 + 6) }
    var header = [next.rawValue, UInt8(units)]
    if kind == .hopByHop || kind == .destinationOptions, !random.oneIn(6) {
      let padding = Int(random.next() % 8)
      let room = units * 8 + 6 - padding
      if room >= 2 { header += [0x1e, UInt8(truncatingIfNeeded: room - 2)] + random.bytes(room - 2) }
      let rest = units * 8 + 8 - header.count
      if rest == 1 { header.append(0) }
      if rest >= 2 { header += [1, UInt8(rest - 2)] + [UInt8](repeating: pick(0, 0, 0, 1), count: rest - 2) }
    } else {
      header += random.bytes(units * 8 + 6)
    }
    return header
  }

  private mutating func filler(_ longest: Int) -> [UInt8] {
    random.oneIn(3)
      ? [UInt8](repeating: pick(0, 7), count: Int(random.next() % UInt64(longest)))
      : random.bytes(in: 0...longest)
  }
}

@Suite struct HeaderRoundTripTests {
  @Test("Decompressing what was compressed gives the packet", arguments: 0..<40)
  func roundTrip(_ seed: Int) throws {
    var generator = PacketGenerator(seed: UInt64(seed))
    for _ in 0..<40 {
      let link = LowpanLink(source: generator.macAddress(), destination: generator.macAddress())
      let packet = try generator.packet(link)
      var shortest = Int.max
      for options in [
        CompressionOptions(), CompressionOptions(contexts: generator.word()),
        CompressionOptions(contexts: 0xffff),
        CompressionOptions(genericHeaderCompression: true, contexts: 0xffff),
      ] {
        let frame = try Headers.compress(packet, link: link, contexts: generator.contexts, options: options)
        let back = try Headers.decompress(frame, link: link, contexts: generator.contexts)
        #expect(back == Headers.Result(packet: packet, elided: nil))
        // The dispatch byte of the uncompressed form is the most it ever costs, and NHC never costs more than none.
        #expect(frame.count <= packet.count + 1)
        if options.contexts != 0xffff { continue }
        #expect(frame.count <= shortest)
        shortest = frame.count
      }
      let elided = CompressionOptions(
        genericHeaderCompression: generator.random.oneIn(2), elideUDPChecksum: true, contexts: 0xffff)
      // Wrong checksums are not compressed with this option.
      guard
        let frame = try? Headers.compress(packet, link: link, contexts: generator.contexts, options: elided)
      else { continue }
      #expect(try Headers.decompress(frame, link: link, contexts: generator.contexts).packet == packet)
      #expect(frame.count <= shortest || !elided.genericHeaderCompression)
    }
  }

  @Test("A first fragment is decompressed like the whole, as far as it goes", arguments: 0..<10)
  func firstFragments(_ seed: Int) throws {
    var generator = PacketGenerator(seed: UInt64(100 + seed))
    for _ in 0..<40 {
      let link = LowpanLink(source: generator.macAddress(), destination: generator.macAddress())
      let packet = try generator.packet(link)
      let options = CompressionOptions(contexts: 0xffff)
      var covered = 0
      let headers = try withWriter(capacity: 2_048) { (writer) throws(EmitError) in
        covered = try compressHeaders(
          of: packet.rawSpan, into: &writer, link: link, contexts: generator.contexts, now: Headers.now,
          options: options)
      }
      let part = (packet.count - covered) / 2
      let first = try Headers.decompress(
        headers + packet[covered..<covered + part], link: link, contexts: generator.contexts,
        datagramSize: packet.count)
      #expect(first.packet.elementsEqual(packet.prefix(covered + part)))
    }
  }

  @Test("Random and damaged frames never trap", arguments: 0..<10)
  func damagedFrames(_ seed: Int) throws {
    var generator = PacketGenerator(seed: UInt64(200 + seed))
    for _ in 0..<150 {
      let link = LowpanLink(source: generator.macAddress(), destination: generator.macAddress())
      var frame = generator.random.bytes(in: 0...100)
      if generator.random.oneIn(2) {
        frame = try Headers.compress(
          generator.packet(link), link: link, contexts: generator.contexts,
          options: CompressionOptions(genericHeaderCompression: true, contexts: 0xffff))
        for _ in 0..<3 {
          frame[Int(generator.random.next() % UInt64(min(frame.count, 60)))] ^= generator.byte()
        }
      } else if !frame.isEmpty {
        frame[0] = generator.pick(0x60 | frame[0] & 0x1f, 0x41, 0x42)
      }
      for size in [nil, Int(generator.random.next() % 2_048)] {
        guard
          let packet = try? Headers.decompress(
            frame, link: link, contexts: generator.contexts, datagramSize: size
          ).packet, frame[0] & 0xe0 == 0x60, size == nil
        else { continue }
        // What was made is a packet, and can be compressed again.
        let again = try Headers.compress(
          packet, link: link, contexts: generator.contexts, options: Headers.allContexts)
        #expect(try Headers.decompress(again, link: link, contexts: generator.contexts).packet == packet)
      }
    }
  }
}
