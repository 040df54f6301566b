import COSE
import Wire

/// Why a request was refused, for a constrained client (RFC 9290, 2): a CBOR map whose key -1 is the title.
public struct ProblemDetails: Hashable, Sendable {
  /// A short, stable text: the name of a ``DropReason``.
  public var title: String

  public init(title: String) { self.title = title }

  /// Reads any map that has a title; `nil` for anything else.
  public init?(parsing bytes: [UInt8]) {
    guard let value = try? CBORValue(parsing: bytes), case .map(let pairs) = value,
      let title = pairs.first(where: { $0.key == .integer(-1) })?.value, case .text(let text) = title
    else { return nil }
    self.init(title: text)
  }

  /// Deterministic CBOR.
  public var encoded: [UInt8] {
    var writer = CBORWriter()
    writer.map(1)
    writer.integer(-1)
    writer.text(title)
    return writer.bytes
  }
}
