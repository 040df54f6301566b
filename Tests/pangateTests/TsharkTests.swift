import Foundation
import Testing

/// One capture that both decoders read, with what they have to be told.
struct ComparedCapture: Sendable, CustomTestStringConvertible {
  var file: String
  /// Context identifiers and prefixes.
  var contexts: [Int: String] = [:]
  /// Further options of `pangate decode` and preferences of tshark.
  var options: [String] = []
  var preferences: [String] = []

  var testDescription: String { file }

  var url: URL { Executable.root.appendingPathComponent(file).standardizedFileURL }

  static let recorded: [ComparedCapture] = [
    ComparedCapture(file: "Captures/home.pcap"),
    ComparedCapture(file: "Captures/riot-6lbr_ctx0.pcap", contexts: [0: "fd00:1::/64"]),
    ComparedCapture(file: "Captures/riot-linklocal_ping.pcap"),
    ComparedCapture(file: "Captures/riot-linklocal_udp_coap.pcap"),
    ComparedCapture(file: "Captures/riot-live_minigw.pcap", contexts: [0: "fd00:1::/64"]),
    ComparedCapture(file: "Captures/riot-multicast.pcap", contexts: [0: "fd00:1::/64"]),
    ComparedCapture(file: "Captures/riot-shortaddr.pcap", contexts: [0: "fd00:1::/64"]),
    ComparedCapture(file: "Captures/riot-udp_nhc_ipv6frag.pcap"),
    ComparedCapture(file: "Captures/zep-linklocal_udp_coap.pcap"),
    ComparedCapture(file: "Captures/thread-sleepy-child-decrypted.fcs.pcap", contexts: threadContexts),
    ComparedCapture(
      file: "Captures/thread-sleepy-child.fcs.pcap", contexts: threadContexts, options: threadKeys,
      preferences: [threadNetworkKey]),
    ComparedCapture(
      file: "Captures/thread-sleepy-child.tap.pcap", contexts: threadContexts, options: threadKeys,
      preferences: [threadNetworkKey]),
    ComparedCapture(file: "Captures/corpus/linux-6lowpan-10k.pcap", contexts: [1: "fd00:1::/64"]),
  ]

  private static let threadContexts = [0: "fdde:ad00:beef::/64", 1: "fd11:22::/64"]
  /// OpenThread's default network key; Wireshark derives the MAC keys from it, and Pangate is given them.
  private static let threadNetworkKey =
    "uat:ieee802154_keys:\"00112233445566778899aabbccddeeff\",\"1\",\"Thread hash\""
  private static let threadKeys = [
    "--key", "1:de89c53af382b421e0fde5a9bae3bef0", "--key", "2:9be0d1af7bd87350deabcdd07febb9d5",
    "--eui", "0x7400=c2:23:4b:b7:53:a2:60:07", "--eui", "0x7401=82:c2:8e:83:57:db:38:c2",
    "--eui", "0xcc00=82:c2:8e:83:57:db:38:c2", "--eui", "0xcc01=ae:48:71:03:60:39:59:e1",
  ]

  private static let publicFolder = "../shared/captures/public"
  static let published: [ComparedCapture] =
    ((try? FileManager.default.contentsOfDirectory(
      atPath: Executable.root.appendingPathComponent(publicFolder).standardizedFileURL.path)) ?? [])
    .sorted().map { ComparedCapture(file: "\(publicFolder)/\($0)") }

  /// What `pangate decode` makes of it: packets and drop reasons by frame number.
  func decoded() throws -> (packets: [Int: ComparedPacket], drops: [Int: String]) {
    var arguments = ["decode", file, "--json"] + options
    for (identifier, prefix) in contexts { arguments += ["--context", "\(identifier)=\(prefix)"] }
    let result = try Executable.run(arguments)
    #expect(result.status == 0 || result.status == 1, "\(result.stderr)")
    var packets: [Int: ComparedPacket] = [:]
    var drops: [Int: String] = [:]
    for line in result.stdout.split(separator: "\n") {
      let frame = try JSONDecoder().decode(Line.self, from: Data(line.utf8))
      packets[frame.number] = frame.packet
      drops[frame.number] = frame.drop?.reason
    }
    return (packets, drops)
  }

  /// The same from tshark.
  func dissected() throws -> [Int: ComparedPacket] {
    try Tshark.packets(
      in: url, preferences: preferences + contexts.map { "6lowpan.context\($0.key):\($0.value)" })
  }

  /// What is read of a line of `decode --json`.
  private struct Line: Decodable {
    struct IPv6: Decodable {
      var source: String
      var destination: String
      var trafficClass: Int
      var flowLabel: Int
      var payloadLength: Int
      var nextHeader: Int
      var hopLimit: Int
    }
    struct UDP: Decodable {
      var sourcePort: Int
      var destinationPort: Int
      var payload: String
    }
    struct ICMPv6: Decodable {
      var type: Int
      var code: Int
      var checksum: Int
    }
    struct Drop: Decodable { var reason: String }

    var number: Int
    var ipv6: IPv6?
    var udp: UDP?
    var icmpv6: ICMPv6?
    var drop: Drop?

    var packet: ComparedPacket? {
      guard let ipv6 else { return nil }
      var upper: ComparedPacket.Upper?
      if let udp {
        upper = .udp(source: udp.sourcePort, destination: udp.destinationPort, payload: udp.payload)
      } else if let icmpv6 {
        upper = .icmpv6(type: icmpv6.type, code: icmpv6.code, checksum: icmpv6.checksum)
      }
      return ComparedPacket(
        source: ipv6.source, destination: ipv6.destination, trafficClass: ipv6.trafficClass,
        flowLabel: ipv6.flowLabel, payloadLength: ipv6.payloadLength, nextHeader: ipv6.nextHeader,
        hopLimit: ipv6.hopLimit, upper: upper)
    }
  }
}

/// A kind of frame on which the two decoders differ, by name and with the reason.
struct KnownDifference: Sendable {
  var name: String
  /// Whose fault it is, and why.
  var reason: String
  /// The captures that have such frames; elsewhere they are not excused.
  var files: [String]
  /// Whether it explains what was made of a frame. `drop` is Pangate's reason.
  var explains: @Sendable (_ pangate: ComparedPacket?, _ drop: String?, _ tshark: ComparedPacket?) -> Bool

  /// Whether both have read the same IPv6 header, and Pangate shows no more because of a wrong checksum.
  private static func differOnlyByChecksum(
    _ pangate: ComparedPacket?, _ drop: String?, _ tshark: ComparedPacket?
  ) -> Bool {
    guard drop == "udpChecksumMismatch" || drop == "icmpv6ChecksumMismatch", var shown = tshark else {
      return false
    }
    shown.upper = nil
    return pangate == shown
  }

  static let all: [KnownDifference] = [
    KnownDifference(
      name: "unknown context",
      reason:
        "Wireshark takes a context that it was not told for ::/64. RFC 6282 has no such default; Pangate drops.",
      files: ["home.pcap"]
    ) { pangate, drop, _ in pangate == nil && drop == "lowpanContextUnknown" },
    KnownDifference(
      name: "wrong checksum",
      reason:
        "Wireshark shows a datagram whose checksum is wrong. Pangate shows its IPv6 header and drops it.",
      files: ["home.pcap"]
    ) { differOnlyByChecksum($0, $1, $2) },
    KnownDifference(
      name: "RIOT forwards to another group",
      reason: """
        RIOT forwards a packet to a prefix-based multicast group (RFC 6282, 3.2.4) with the last two words of the group \
        exchanged, so that its ICMPv6 checksum is wrong from then on.
        """,
      files: ["riot-multicast.pcap"]
    ) { differOnlyByChecksum($0, $1, $2) },
    KnownDifference(
      name: "OpenWSN's checksums",
      reason:
        "Some ICMPv6 messages of OpenWSN's nodes have a wrong checksum; both decoders read the same packet.",
      files: ["openwsn-echo_req_and_reply_and_other_packets_with_openmote_sniffer.pcap"]
    ) { differOnlyByChecksum($0, $1, $2) },
    KnownDifference(
      name: "cut by the sender",
      reason: """
        OpenWSN forwarded IPv6 packets of 188 bytes in one frame, cut off. Wireshark shows what is there, with a warning;
        Pangate drops a packet that is shorter than its header says.
        """,
      files: ["openwsn-echo_req_and_reply_and_other_packets_with_openmote_sniffer.pcap"]
    ) { pangate, drop, _ in pangate == nil && drop == "ipv6LengthMismatch" },
  ]
}

@Suite(
  "Wireshark reads the same packets: addresses, next header, hop limit, ports, payload",
  .enabled(if: Tshark.program != nil, "tshark is not installed; tools/setup test installs it"))
struct TsharkTests {
  @Test("Recordings", arguments: ComparedCapture.recorded)
  func recorded(capture: ComparedCapture) throws { try compare(capture) }

  @Test("Public captures, where present", arguments: ComparedCapture.published)
  func published(capture: ComparedCapture) throws { try compare(capture) }

  private func compare(_ capture: ComparedCapture) throws {
    let (packets, drops) = try capture.decoded()
    let dissected = try capture.dissected()
    for number in Set(packets.keys).union(dissected.keys).sorted() where packets[number] != dissected[number] {
      let known = KnownDifference.all.first {
        $0.files.contains(capture.url.lastPathComponent)
          && $0.explains(packets[number], drops[number], dissected[number])
      }
      #expect(
        known != nil,
        """
        frame \(number): pangate \(packets[number].map { "\($0)" } ?? "nothing") \(drops[number] ?? "")
          tshark \(dissected[number].map { "\($0)" } ?? "nothing")
        """)
    }
  }
}
