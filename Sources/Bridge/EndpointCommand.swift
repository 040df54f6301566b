import CoAP
import Envelope
import Wire

/// A command as an owner types it: `lock: PUT /lock open`.
public struct CommandText: Hashable, Sendable, CustomStringConvertible {
  /// The node's name in the peer record.
  public var node: String
  public var method: CoAPCode
  public var path: [String]
  public var query: [String]
  public var payload: String

  /// `NAME: METHOD /path[?query] [value]`; the value goes on to the end of the text. `nil` for anything else.
  public init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    node = String(text[..<colon]).trimmed
    let words = String(text[text.index(after: colon)...]).trimmed
      .split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true).map(String.init)
    guard !node.isEmpty, words.count >= 2, words[1].hasPrefix("/") else { return nil }
    switch words[0].uppercased() {
    case "GET": method = .get
    case "POST": method = .post
    case "PUT": method = .put
    case "DELETE": method = .delete
    default: return nil
    }
    let parts = words[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    path = parts[0].split(separator: "/").map(String.init)
    query = parts.count > 1 ? parts[1].split(separator: "&").map(String.init) : []
    payload = words.count > 2 ? words[2].trimmed : ""
  }

  public var description: String {
    let method = self.method.description.split(separator: " ").last.map(String.init) ?? ""
    let target = "/" + path.joined(separator: "/") + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    return "\(node): \(method) \(target)" + (payload.isEmpty ? "" : " \(payload)")
  }

  /// What is sent: content format 65004.
  var message: EncapsulatedMessage {
    let options =
      path.map { EncapsulatedMessage.Option(CoAPOptionNumber.uriPath.rawValue, Array($0.utf8)) }
      + query.map { EncapsulatedMessage.Option(CoAPOptionNumber.uriQuery.rawValue, Array($0.utf8)) }
    return EncapsulatedMessage(code: method.rawValue, options: options, payload: Array(payload.utf8))
  }
}

extension String {
  /// Without white space at both ends.
  fileprivate var trimmed: String {
    var text = Substring(self)
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
