import SixLoWPAN
import Testing
import Wire

@Suite struct DispatchTests {
  @Test("Every dispatch byte means what the registry says (RFC 4944, 5.1; RFC 6282, 2; RFC 8025, 6; RFC 8931)")
  func everyByte() {
    var kinds: [LowpanDispatch: Int] = [:]
    for byte in UInt8.min...UInt8.max { kinds[LowpanDispatch(byte), default: 0] += 1 }
    #expect(kinds[.notALowpanFrame] == 64)
    #expect(kinds[.mesh] == 64)
    #expect(kinds[.datagram] == 34)
    #expect(kinds[.firstFragment] == 8)
    #expect(kinds[.nextFragment] == 8)
    #expect(kinds[.broadcast] == 1)
    #expect(kinds[.unsupported] == 3)
    for page in UInt8(0)...15 {
      #expect(LowpanDispatch(0xf0 | page) == .page(page))
      #expect(kinds[.page(page)] == 1)
    }
    #expect(kinds.values.reduce(0, +) == 256)
  }

  @Test("What is not 6LoWPAN, not assigned or not understood is refused, each by its name")
  func refused() throws {
    let packet = try Reception.packet(60)
    for (prefix, reason) in [
      ([0x00], .lowpanNotALowpanFrame), ([0x3f], .lowpanNotALowpanFrame),
      ([0x40], .lowpanDispatchUnsupported), ([0xe8], .lowpanDispatchUnsupported),
      ([0x43], .lowpanDispatchUnknown), ([0x51], .lowpanDispatchUnknown), ([0xc8], .lowpanDispatchUnknown),
      ([0xea], .lowpanDispatchUnknown),
      ([0xf2, 0x41], .lowpanPageUnsupported), ([0xff], .lowpanPageUnsupported),
      // Page 1 has no uncompressed datagrams, and its routing headers are for RPL routers (RFC 8138).
      ([0xf1, 0x41], .lowpanDispatchUnknown), ([0xf1, 0x80], .lowpanDispatchUnsupported),
      ([0xf1, 0x00], .lowpanDispatchUnknown),
      // Behind a page there is no fragment, no mesh and no broadcast (RFC 8025, 4).
      ([0xf0, 0xc0], .lowpanDispatchUnknown), ([0xf1, 0xe0], .lowpanDispatchUnknown),
      ([0xf0, 0x50], .lowpanDispatchUnknown), ([0xf0, 0x80], .lowpanDispatchUnknown),
    ] as [([UInt8], DropReason)] {
      #expect(Reception().take(prefix + packet) == .dropped(reason), "\(prefix.hex)")
    }
  }

  @Test("No byte, and nothing behind a page, is truncated")
  func truncated() {
    for bytes in [[], [0xf0], [0xf1], [0xf1, 0xf0]] as [[UInt8]] {
      #expect(Reception().take(bytes) == .dropped(.truncated))
    }
  }

  @Test("Pages 0 and 1 have compressed datagrams (RFC 8025, 3), and the last switch counts")
  func pages() throws {
    let packet = try Reception.packet(60)
    let compressed = try Headers.compress(packet, link: Reception.link(1))
    #expect(compressed[0] & 0xe0 == 0x60)
    for pages in [[], [0xf0], [0xf1], [0xf0, 0xf1], [0xf1, 0xf0]] as [[UInt8]] {
      #expect(Reception().take(pages + compressed) == .packet(packet), "\(pages.hex)")
    }
    for pages in [[], [0xf0], [0xf1, 0xf0]] as [[UInt8]] {
      #expect(Reception().take(pages + [0x41] + packet) == .packet(packet), "\(pages.hex)")
    }
  }

  @Test("A payload that completes nothing leaves no packet of the one before")
  func nothingIsLeftOver() throws {
    let packet = try Reception.packet(60)
    var receiver = LowpanReceiver()
    let contexts = ContextTable()
    let payload = [0x41] + packet
    _ = try receiver.receive(payload.rawSpan, link: Reception.link(1), contexts: contexts, now: Headers.now)
    let before = receiver.datagram.array()
    #expect(before == packet)
    let refused: [UInt8] = [0x41, 0x60, 0]
    _ = try? receiver.receive(refused.rawSpan, link: Reception.link(1), contexts: contexts, now: Headers.now)
    let after = receiver.datagram.array()
    #expect(after.isEmpty)
  }
}
