import COSE
import CoAP
import Envelope
import Queue
import Wire

/// What a node told the resource directory of itself (RFC 9176, 5).
public struct ResourceRegistration: Sendable, Hashable {
  /// The endpoint name (`ep`): unique on this gateway.
  public var endpoint: String
  /// The lifetime (`lt`), seconds.
  public var lifetime: UInt32
  /// When it was made or last renewed.
  public var renewed: Instant
  /// The base URI of relative links (`base`), if given.
  public var base: String?
  /// Its radio is off most of the time: it is talked to after it has talked (`b` with Q, or `q`; LwM2M's queue mode).
  public var isQueueMode: Bool
  /// What it offers, in link format (RFC 6690).
  public var links: String

  /// RFC 9176, 5: the default of `lt`.
  public static let defaultLifetime: UInt32 = 90_000
  /// Bytes of the links of one node.
  public static let maximumLinks = 2048

  /// When it ends unless it is renewed.
  public var expires: Instant { renewed.advanced(by: .seconds(Int64(lifetime))) }

  /// Reads the query of a registration, or of an update of `previous`. Throws ``DropReason/coapRequestRefused`` for
  /// parameters that are missing, malformed or given twice, and for links that are no link format.
  init(
    query: [String], payload: [UInt8], previous: ResourceRegistration? = nil, now: Instant
  ) throws(ParseError) {
    var given: [Substring: Substring] = [:]
    for argument in query {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard given.updateValue(parts.count > 1 ? parts[1] : "", forKey: parts[0]) == nil else {
        throw ParseError(.coapRequestRefused)
      }
    }
    guard let endpoint = given["ep"].map(String.init) ?? previous?.endpoint, !endpoint.isEmpty,
      endpoint.utf8.count <= 63, endpoint.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7f })
    else { throw ParseError(.coapRequestRefused) }
    self.endpoint = endpoint
    if let text = given["lt"] {
      guard let lifetime = UInt32(text), lifetime > 0 else { throw ParseError(.coapRequestRefused) }
      self.lifetime = lifetime
    } else {
      lifetime = previous?.lifetime ?? Self.defaultLifetime
    }
    base = given["base"].map(String.init) ?? previous?.base
    guard base.map({ $0.utf8.count <= 255 }) ?? true else { throw ParseError(.coapRequestRefused) }
    isQueueMode = given["q"] != nil || given["Q"] != nil || given["b"]?.contains("Q") ?? previous?.isQueueMode ?? false
    renewed = now
    guard !payload.isEmpty || previous == nil else {
      links = previous?.links ?? ""
      return
    }
    guard payload.count <= Self.maximumLinks, let text = String(validating: payload, as: UTF8.self),
      Self.isLinkFormat(text)
    else { throw ParseError(.coapRequestRefused) }
    links = text
  }

  /// Whether a text has the outer form of RFC 6690: `<target>;attributes,<target>...`.
  static func isLinkFormat(_ text: String) -> Bool {
    var rest = Substring(text)
    while !rest.isEmpty {
      guard rest.first == "<", let end = rest.firstIndex(of: ">") else { return false }
      rest = rest[rest.index(after: end)...]
      var isQuoted = false
      while let next = rest.first, isQuoted || next != "," {
        if next.isNewline { return false }
        if next == "\"" { isQuoted.toggle() }
        rest.removeFirst()
      }
      guard !isQuoted else { return false }
      if rest.first == "," {
        rest.removeFirst()
        guard !rest.isEmpty else { return false }
      }
    }
    return true
  }
}

extension ResourceRegistration: CBORItem {
  /// Reads what ``write(to:)`` wrote; anything else is ``DropReason/envelopeStructure`` or an error of CBOR.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 6)
    endpoint = try reader.text()
    lifetime = UInt32(truncatingIfNeeded: try reader.unsigned(upTo: UInt64(UInt32.max)))
    renewed = Instant(microseconds: Int64(truncatingIfNeeded: try reader.unsigned(upTo: UInt64(Int64.max))))
    let base = try reader.text()
    self.base = base.isEmpty ? nil : base
    isQueueMode = try reader.unsigned(upTo: 1) == 1
    links = try reader.text()
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(6)
    writer.text(endpoint)
    writer.unsigned(UInt64(lifetime))
    writer.unsigned(UInt64(max(0, renewed.microseconds)))
    writer.text(base ?? "")
    writer.unsigned(isQueueMode ? 1 : 0)
    writer.text(links)
  }
}
