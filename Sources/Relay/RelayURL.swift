import Foundation
import Wire

/// Where a relay listens: `coaps+tcp://0.0.0.0:5684`.
public struct RelayURL: Sendable, Hashable, CustomStringConvertible {
  public enum Scheme: String, Sendable, Hashable, CaseIterable {
    case tcp = "coap+tcp"
    case tls = "coaps+tcp"
    case webSocket = "coap+ws"
    case secureWebSocket = "coaps+ws"

    /// The port when none is given (RFC 8323, 8).
    public var defaultPort: Int {
      switch self {
      case .tcp: 5683
      case .tls: 5684
      case .webSocket: 80
      case .secureWebSocket: 443
      }
    }

    public var isSecure: Bool { self == .tls || self == .secureWebSocket }
    public var isWebSocket: Bool { self == .webSocket || self == .secureWebSocket }
  }

  public var scheme: Scheme
  /// A name or an address, without brackets.
  public var host: String
  public var port: Int

  public init(scheme: Scheme, host: String, port: Int) {
    self.scheme = scheme
    self.host = host
    self.port = port
  }

  /// `SCHEME://HOST[:PORT]`; `nil` for anything else, also for a path or a query.
  public init?(_ text: String) {
    guard let separator = text.range(of: "://"), let scheme = Scheme(rawValue: String(text[..<separator.lowerBound]))
    else { return nil }
    var rest = text[separator.upperBound...]
    if rest.hasSuffix("/") { rest.removeLast() }
    guard !rest.isEmpty, !rest.contains("/"), !rest.contains("?"), !rest.contains("@") else { return nil }
    self.scheme = scheme
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { return nil }
      host = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
      rest = rest.dropFirst()
    } else {
      let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      host = String(parts[0])
      rest = parts.count > 1 ? parts[1] : ""
      if parts.count > 1, rest.isEmpty { return nil }
    }
    guard !host.isEmpty else { return nil }
    if rest.isEmpty {
      port = scheme.defaultPort
    } else {
      guard let number = Int(rest), (0...65_535).contains(number) else { return nil }
      port = number
    }
  }

  public var description: String {
    "\(scheme.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }

  /// Whether nobody but this machine can reach it.
  public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}
