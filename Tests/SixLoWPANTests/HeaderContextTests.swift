import IPv6
import SixLoWPAN
import Testing
import Wire

@Suite struct HeaderContextTests {
  let prefix = IPv6Prefix("2001:db8:1::/48")

  private func reason(_ table: ContextTable, _ identifier: UInt8, at seconds: Int64) -> DropReason? {
    do {
      _ = try table.lookup(identifier, now: Instant(seconds: seconds))
      return nil
    } catch { return error.reason }
  }

  @Test("RFC 6775 section 5.4.3: expired contexts are receive-only for a while, then gone")
  func lifeCycle() throws {
    let prefix = try #require(prefix)
    var table = ContextTable()
    #expect(reason(table, 2, at: 0) == .lowpanContextUnknown)
    #expect(reason(table, 16, at: 0) == .lowpanContextUnknown)
    table.set(2, prefix: prefix, compress: true, expires: Instant(seconds: 600))
    #expect(try table.lookup(2, now: Instant(seconds: 599)) == prefix)
    #expect(table.compressionPrefix(2, now: Instant(seconds: 599)) == prefix)
    #expect(table.compressionPrefix(2, now: Instant(seconds: 600)) == nil)
    #expect(try table.lookup(2, now: Instant(seconds: 600 + 3_599)) == prefix)
    #expect(reason(table, 2, at: 600 + 3_600) == .lowpanContextExpired)
    table.removeExpired(now: Instant(seconds: 4_199))
    #expect(table[2] == .init(prefix: prefix, compress: true, expires: Instant(seconds: 600)))
    table.removeExpired(now: Instant(seconds: 4_200))
    #expect(table[2] == nil && table.entries.isEmpty)
    #expect(reason(table, 2, at: 4_200) == .lowpanContextUnknown)
  }

  @Test("RFC 6775 section 4.2: without the C flag only for decompression") func receiveOnly() throws {
    let prefix = try #require(prefix)
    var table = ContextTable()
    table.set(15, prefix: prefix, compress: false, expires: nil)
    #expect(try table.lookup(15, now: Instant(microseconds: .max - 1)) == prefix)
    #expect(table.compressionPrefix(15, now: Instant(seconds: 0)) == nil)
    #expect(table.context(covering: prefix.address, now: Instant(seconds: 0)) == nil)
    #expect(table.entries.map(\.identifier) == [15])
    #expect(table[15]?.expires == nil)
    table.remove(15)
    #expect(table[15] == nil)
    table.set(16, prefix: prefix, compress: true, expires: nil)
    table.remove(16)
    #expect(table.entries.isEmpty && table[16] == nil)
  }

  @Test func longestPrefixCovers() throws {
    var table = ContextTable()
    let now = Instant(seconds: 5)
    for (identifier, text) in [(1, "2001:db8::/32"), (4, "2001:db8:1::/48"), (9, "2001:db8:1::/48")] {
      table.set(UInt8(identifier), prefix: try #require(IPv6Prefix(text)), compress: true, expires: nil)
    }
    #expect(table.context(covering: try #require(IPv6Address("2001:db8:1::7")), now: now)?.0 == 4)
    #expect(table.context(covering: try #require(IPv6Address("2001:db8:2::7")), now: now)?.0 == 1)
    #expect(table.context(covering: .loopback, now: now) == nil)
  }

  @Test("RFC 6282 section 3.1.2: unknown and expired contexts") func packets() throws {
    // SAC=1 SAM=3 with context 2, then 9.
    let frame: [UInt8] = [0x7a, 0xf3, 0x20, 0x3b]
    let prefix = try #require(prefix)
    var table = ContextTable()
    table.set(2, prefix: prefix, compress: true, expires: Instant(seconds: 10))
    let packet = try Headers.decompress(frame, contexts: table, now: Instant(seconds: 11)).packet
    #expect(packet[8..<24].elementsEqual(prefix.address(interfaceIdentifier: 0x0012_4b00_0000_0003).bytes))
    #expect(throws: ParseError(.lowpanContextExpired)) {
      try Headers.decompress(frame, contexts: table, now: Instant(seconds: 3_610))
    }
    #expect(throws: ParseError(.lowpanContextUnknown)) {
      try Headers.decompress([0x7a, 0xf3, 0x90, 0x3b], contexts: table)
    }
    // DAC=1, and the multicast form with a context.
    #expect(Headers.reason("7ab7093b") == .lowpanContextUnknown)
    #expect(Headers.reason("7abc093b020000000001") == .lowpanContextUnknown)
  }
}
