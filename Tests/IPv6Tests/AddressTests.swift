import IPv6
import TestSupport
import Testing
import Wire

@Suite struct AddressTests {
  @Test(
    "RFC 5952 section 4 and RFC 4291 section 2.2",
    arguments: [
      ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
      ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
      ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
      ("2001:DB8::ABCD", "2001:db8::abcd"), ("0:0:0:0:0:0:0:0", "::"), ("::1", "::1"), ("1::", "1::"),
      ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
      ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("0:0:0:0:0:ffff:129.144.52.38", "::ffff:129.144.52.38"),
      ("FF01:0:0:0:0:0:0:101", "ff01::101"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
      ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
  func canonicalText(_ text: String, _ canonical: String) {
    #expect(IPv6Address(text)?.description == canonical)
  }

  @Test(arguments: [
    "", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%eth0",
    "::1/64",
    ":1::", "1::2:", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1.2.3.4", "::1.2.3", "::1.2.3.4.5",
    "::1.2.3.256",
    "::01.2.3.4", "::1.2.3.4:5", "1.2.3.4::", "::+1", "::-1", " ::", ":: ", "::\u{0661}",
    "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.", "fe80::1::",
  ])
  func notAnAddress(_ text: String) { #expect(IPv6Address(text) == nil) }

  @Test func textAndBytesRoundTrip() throws {
    var generator = SeededGenerator(seed: 5952)
    for _ in 0..<2000 {
      // Sparse words make runs of zeros.
      let words = (0..<8).map { _ in
        generator.oneIn(2) ? 0 : UInt64(UInt16.random(in: 0...0xffff, using: &generator))
      }
      let address = IPv6Address(
        high: words[0..<4].reduce(0) { $0 << 16 | $1 }, low: words[4..<8].reduce(0) { $0 << 16 | $1 })
      #expect(IPv6Address(address.description) == address)
      #expect(try address.encoded() == address.bytes)
      #expect(try IPv6Address(parsing: address.bytes) == address)
    }
  }

  @Test func kinds() throws {
    let linkLocal = try #require(IPv6Address("fe80::212:4b00:0:3"))
    #expect(linkLocal.isLinkLocal && linkLocal.isUnicast && !linkLocal.isMulticast)
    #expect(linkLocal.solicitedNode == IPv6Address("ff02::1:ff00:3"))
    #expect(linkLocal.solicitedNode.isSolicitedNode && linkLocal.solicitedNode.isMulticast)
    #expect(linkLocal.eui64 == 0x0012_4b00_0000_0003)
    #expect(linkLocal.shortAddress == nil)
    #expect(IPv6Address.interfaceIdentifier(eui64: 0x0012_4b00_0000_0003) == linkLocal.interfaceIdentifier)
    let short = IPv6Address.linkLocal(IPv6Address.interfaceIdentifier(shortAddress: 0x0b02))
    #expect(short.description == "fe80::ff:fe00:b02")
    #expect(short.shortAddress == 0x0b02 && short.eui64 == nil)
    #expect(try #require(IPv6Address("fd12::1")).isUniqueLocal)
    #expect(!(try #require(IPv6Address("fe12::1")).isUniqueLocal))
    #expect(IPv6Address.allRouters.multicastScope == 2)
    #expect(IPv6Address.loopback.isLoopback && IPv6Address.unspecified.isUnspecified)
  }

  @Test func prefixes() throws {
    let prefix = try #require(IPv6Prefix("2001:db8::/32"))
    #expect(prefix.description == "2001:db8::/32")
    #expect(prefix.contains(try #require(IPv6Address("2001:db8:ffff::1"))))
    #expect(!prefix.contains(try #require(IPv6Address("2001:db9::1"))))
    #expect(try #require(IPv6Prefix("::/0")).contains(prefix))
    #expect(!prefix.contains(try #require(IPv6Prefix("::/0"))))
    let host = try #require(IPv6Prefix("fd00::1/128"))
    #expect(host.contains(host.address) && !host.contains(IPv6Address(high: host.address.high, low: 2)))
    for text in ["2001:db8::1/64", "::/129", "::", "::/", "/64", "::/64/1", "::/+4", "::/0064", "x/64"] {
      #expect(IPv6Prefix(text) == nil, "\(text)")
    }
    let wide = try #require(IPv6Prefix("fd00:0:0:1::/64"))
    #expect(wide.address(interfaceIdentifier: 5).description == "fd00:0:0:1::5")
    #expect(IPv6Prefix(try #require(IPv6Address("fd00:0:0:1:2::5")), length: 64) == wide)
    let odd = IPv6Prefix(IPv6Address(high: .max, low: .max), length: 75)
    #expect(odd.description == "ffff:ffff:ffff:ffff:ffe0::/75")
    #expect(odd.contains(odd.address(interfaceIdentifier: .max)))
  }
}
