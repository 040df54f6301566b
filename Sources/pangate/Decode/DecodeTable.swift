import Foundation

/// The lines of `decode --format table`.
enum DecodeTable {
  static let header = "   no   seconds  from > to          type   6LoWPAN and above"

  /// Columns that a line should fit in.
  private static let width = 120

  /// One line for one frame. Long MAC addresses are cut to their last two bytes: `..0003`. IPv6 addresses are cut to their
  /// first and last two groups if the line would be too long otherwise: `fd50:616e..fe00:b01`.
  static func line(_ frame: DecodedFrame) -> String {
    let line = line(frame) { $0 }
    return line.utf8.count <= width ? line : self.line(frame, address: shortIPv6)
  }

  private static func line(_ frame: DecodedFrame, address: (String) -> String) -> String {
    var line = right("\(frame.number)", 5) + " " + right(String(format: "%.6f", frame.elapsed), 10) + "  "
    if let mac = frame.mac {
      line += left(short(mac.source) + " > " + short(mac.destination), 15) + "  " + left(mac.type, 6)
    } else {
      line += left("-", 15) + "  " + left("-", 6)
    }
    var layers: [String] = []
    if let lowpan = frame.lowpan { layers.append(left(text(lowpan), 5)) }
    if let ipv6 = frame.ipv6 {
      layers.append(address(ipv6.source) + " > " + address(ipv6.destination))
      if let upper = upperLayer(frame, ipv6) { layers.append(upper) }
    } else if let fragment = frame.lowpan?.fragment {
      layers.append("tag \(fragment.tag), from \(fragment.offset) of \(fragment.datagramSize) B")
    }
    if let drop = frame.drop { layers.append("dropped: \(drop.reason)") }
    if !layers.isEmpty { line += " " + layers.joined(separator: "  ") }
    while line.hasSuffix(" ") { line.removeLast() }
    return line
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.utf8.count))
  }

  private static func short(_ address: String?) -> String {
    guard let address else { return "-" }
    let octets = address.split(separator: ":")
    return octets.count == 8 ? ".." + octets.suffix(2).joined() : address
  }

  private static func shortIPv6(_ address: String) -> String {
    let groups = address.split(separator: ":")
    guard groups.count > 4 else { return address }
    return groups.prefix(2).joined(separator: ":") + ".." + groups.suffix(2).joined(separator: ":")
  }

  private static func text(_ lowpan: DecodedFrame.Lowpan) -> String {
    guard let mesh = lowpan.mesh else { return lowpan.form }
    return "mesh \(short(mesh.originator)) > \(short(mesh.destination)) \(lowpan.form)"
  }

  private static func upperLayer(_ frame: DecodedFrame, _ ipv6: DecodedFrame.IPv6) -> String? {
    if let udp = frame.udp {
      let ports = "UDP \(udp.sourcePort)>\(udp.destinationPort)"
      guard let coap = frame.coap else { return "\(ports) \(udp.payload.bytes.count) B" }
      return "\(ports) " + text(coap)
    }
    if let icmpv6 = frame.icmpv6 { return "ICMPv6 \(icmpv6.name)" }
    return frame.drop == nil
      ? "next header \(ipv6.upperProtocol ?? ipv6.nextHeader), \(ipv6.payloadLength) B" : nil
  }

  private static func text(_ coap: DecodedFrame.CoAP) -> String {
    var parts = [coap.type, coap.code]
    if let path = coap.path { parts.append(path) }
    // Those that say what the exchange does; the JSON has all.
    for option in coap.options where ["Observe", "Block1", "Block2", "Echo"].contains(option.name) {
      parts.append("\(option.name):\(option.value)")
    }
    if coap.payloadLength > 0 { parts.append("\(coap.payloadLength) B") }
    return parts.joined(separator: " ")
  }
}
