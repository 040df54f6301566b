import Foundation

/// An IPv6 packet as far as two decoders are compared: what both print of it.
struct ComparedPacket: Equatable {
  var source: String
  var destination: String
  var trafficClass: Int
  var flowLabel: Int
  var payloadLength: Int
  var nextHeader: Int
  var hopLimit: Int
  /// Of UDP or ICMPv6, whichever the packet holds.
  var upper: Upper?

  enum Upper: Equatable {
    /// The payload in hexadecimal.
    case udp(source: Int, destination: Int, payload: String)
    /// The checksum covers the message and the addresses, and Pangate has verified it.
    case icmpv6(type: Int, code: Int, checksum: Int)
  }
}

/// Wireshark's decoder on the command line.
enum Tshark {
  static let program: URL? = ["/usr/bin/tshark", "/usr/local/bin/tshark", "/opt/homebrew/bin/tshark"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }.map { URL(fileURLWithPath: $0) }

  private static let fields = [
    "frame.number", "frame.protocols", "ipv6.src", "ipv6.dst", "ipv6.tclass", "ipv6.flow", "ipv6.plen",
    "ipv6.nxt",
    "ipv6.hlim", "udp.srcport", "udp.dstport", "udp.payload", "icmpv6.type", "icmpv6.code", "icmpv6.checksum",
  ]

  struct Failure: Error, CustomStringConvertible { var description: String }

  /// The IPv6 packets that 6LoWPAN gave, by the number of the frame that completed them.
  ///
  /// Empty preferences first, so that nobody's own change the result.
  static func packets(in capture: URL, preferences: [String]) throws -> [Int: ComparedPacket] {
    guard let program else { throw Failure(description: "no tshark") }
    var arguments = ["-r", capture.path, "-n", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for preference in preferences + ["udp.check_checksum:FALSE"] { arguments += ["-o", preference] }
    for field in fields { arguments += ["-e", field] }
    let result = try Executable.run(program, arguments)
    guard result.status == 0 else { throw Failure(description: result.stderr) }
    var packets: [Int: ComparedPacket] = [:]
    for line in result.stdout.split(separator: "\n") {
      let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
      guard columns.count == fields.count, let number = Int(columns[0]) else {
        throw Failure(description: "cannot read '\(line)'")
      }
      packets[number] = packet(Row(columns))
    }
    return packets
  }

  /// One line: each field has as many values as there are layers with it.
  private struct Row {
    private var values: [String: [String]] = [:]

    init(_ columns: [Substring]) {
      for (name, column) in zip(fields, columns) where !column.isEmpty {
        values[name] = column.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      }
    }

    func text(_ field: String, _ index: Int = 0) -> String? {
      guard let all = values[field], index < all.count else { return nil }
      return all[index]
    }

    func number(_ field: String, _ index: Int = 0) -> Int? {
      text(field, index).flatMap { $0.hasPrefix("0x") ? Int($0.dropFirst(2), radix: 16) : Int($0) }
    }
  }

  private static func packet(_ row: Row) -> ComparedPacket? {
    guard let protocols = row.text("frame.protocols")?.split(separator: ":"),
      let lowpan = protocols.firstIndex(of: "6lowpan"), let ipv6 = protocols[lowpan...].firstIndex(of: "ipv6")
    else { return nil }
    // Layers around ZEP come first.
    let outerIPv6 = protocols[..<lowpan].count { $0 == "ipv6" }
    let outerUDP = protocols[..<lowpan].count { $0 == "udp" }
    guard let source = row.text("ipv6.src", outerIPv6), let destination = row.text("ipv6.dst", outerIPv6),
      let trafficClass = row.number("ipv6.tclass", outerIPv6),
      let flowLabel = row.number("ipv6.flow", outerIPv6),
      let payloadLength = row.number("ipv6.plen", outerIPv6),
      let nextHeader = row.number("ipv6.nxt", outerIPv6),
      let hopLimit = row.number("ipv6.hlim", outerIPv6)
    else { return nil }
    var upper: ComparedPacket.Upper?
    // The first layer behind IPv6 and its extension headers; what an ICMPv6 error quotes comes later.
    switch protocols[ipv6...].first(where: { !$0.hasPrefix("ipv6") }) {
    case "udp":
      if let from = row.number("udp.srcport", outerUDP), let to = row.number("udp.dstport", outerUDP) {
        upper = .udp(source: from, destination: to, payload: row.text("udp.payload", outerUDP) ?? "")
      }
    case "icmpv6":
      if let type = row.number("icmpv6.type"), let code = row.number("icmpv6.code"),
        let checksum = row.number("icmpv6.checksum")
      {
        upper = .icmpv6(type: type, code: code, checksum: checksum)
      }
    default: break
    }
    return ComparedPacket(
      source: source, destination: destination, trafficClass: trafficClass, flowLabel: flowLabel,
      payloadLength: payloadLength, nextHeader: nextHeader, hopLimit: hopLimit, upper: upper)
  }
}
