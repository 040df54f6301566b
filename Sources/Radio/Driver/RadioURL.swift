import Foundation

/// Which radio: what stands behind `radio.url` in the configuration and on the command line.
///
///     linux:wpan0                          a Linux interface, or a monitor interface for listening only
///     spinel:/dev/ttyACM0?baud=460800      a radio co-processor on a serial port or a pty
///     spinel+exec:ot-rcp 1                 one that is a program, over a pty
///     zep://0.0.0.0:17754                  simulated radios over UDP; the address is the one to bind
///     zep+peer://127.0.0.1:17754           one simulated radio; the address is the one that all of them are heard at
///     pcap:FILE                            a recording, for listening only
public struct RadioURL: Sendable, Hashable, CustomStringConvertible {
  public enum Target: Sendable, Hashable {
    case linux(interface: String)
    case serial(path: String, baud: Int)
    case command([String])
    case zep(host: String, port: Int)
    /// One that is heard by whoever has bound this address.
    case zepPeer(host: String, port: Int)
    case pcap(path: String)
  }

  public let target: Target
  public let description: String

  /// The baud rate of a serial port unless the URL names one.
  public static let defaultBaud = 115_200

  /// Throws a ``RadioError`` that shows the forms there are.
  public init(_ text: String) throws(RadioError) {
    description = text
    guard let colon = text.firstIndex(of: ":") else { throw Self.unknown(text, "has no scheme") }
    let rest = String(text[text.index(after: colon)...])
    switch text[..<colon].lowercased() {
    case "linux":
      guard !rest.isEmpty, rest.utf8.count < 16, !rest.contains("/") else {
        throw Self.unknown(text, "names no interface")
      }
      target = .linux(interface: rest)
    case "spinel": target = try Self.serial(text, rest)
    case "spinel+exec":
      let words = rest.split(separator: " ").map(String.init)
      guard !words.isEmpty else { throw Self.unknown(text, "names no command") }
      target = .command(words)
    case "zep":
      let (host, port) = try Self.zep(text, rest)
      target = .zep(host: host, port: port)
    case "zep+peer":
      let (host, port) = try Self.zep(text, rest)
      target = .zepPeer(host: host, port: port)
    case "pcap":
      guard !rest.isEmpty else { throw Self.unknown(text, "names no file") }
      target = .pcap(path: rest)
    default: throw Self.unknown(text, "is of an unknown kind")
    }
  }

  private static func serial(_ text: String, _ rest: String) throws(RadioError) -> Target {
    let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts.first.map(String.init) ?? ""
    guard path.hasPrefix("/") else { throw unknown(text, "names no device file") }
    guard parts.count == 2 else { return .serial(path: path, baud: defaultBaud) }
    guard parts[1].hasPrefix("baud="), let baud = Int(parts[1].dropFirst(5)), baud > 0 else {
      throw unknown(text, "has an option that is not baud=NUMBER")
    }
    return .serial(path: path, baud: baud)
  }

  private static func zep(_ text: String, _ rest: String) throws(RadioError) -> (host: String, port: Int) {
    guard rest.hasPrefix("//") else { throw unknown(text, "names no address") }
    let authority = rest.dropFirst(2)
    let (host, port): (Substring, Substring?)
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      host = authority[authority.index(after: authority.startIndex)..<end]
      let after = authority[authority.index(after: end)...]
      port = after.isEmpty ? nil : after.hasPrefix(":") ? after.dropFirst() : "?"
    } else {
      let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      (host, port) = (parts.first ?? "", parts.count == 2 ? parts[1] : nil)
    }
    guard !host.isEmpty else { throw unknown(text, "names no address") }
    guard let port else { return (String(host), Int(ZEPHeader.port)) }
    guard let number = UInt16(port) else { throw unknown(text, "has no port between 0 and 65535") }
    return (String(host), Int(number))
  }

  private static func unknown(_ text: String, _ what: String) -> RadioError {
    RadioError(
      .notSupported, radio: "'\(text)'", detail: "the radio's URL \(what)",
      remedy:
        "write linux:wpan0, spinel:/dev/ttyACM0?baud=460800, spinel+exec:COMMAND, zep://0.0.0.0:17754 or pcap:FILE")
  }
}
