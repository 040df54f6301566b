import BorderRouter
import IEEE802154
import IPv6
import SixLoWPAN
import Testing
import Wire

@Suite struct FrameDecoderCaptureTests {
  @Test("Two Linux kernels: every packet of 10,000 frames, byte for byte, in order of completion")
  func corpus() throws {
    let expected = try Captures.lines(gzip: "corpus/linux-6lowpan-10k.ipv6.hex.gz")
    var decoder = FrameDecoder()
    let prefix = try #require(IPv6Prefix("fd00:1::/64"))
    decoder.contexts.set(1, prefix: prefix, compress: true, expires: nil)
    var packets: [String] = []
    for frame in try Captures.frames("corpus/linux-6lowpan-10k") {
      let decoded = decoder.decoded(frame)
      if !decoded.packet.isEmpty { packets.append(decoded.packet.hex) }
      // Only payloads to the CoAP port that are none are refused: the checksums are all right.
      if let layer = decoded.layer { #expect(layer == .coap) }
    }
    #expect(packets == expected)
    #expect(packets.count == 8_276)
    #expect(decoder.datagramsUnderWay == 0)
  }
}
