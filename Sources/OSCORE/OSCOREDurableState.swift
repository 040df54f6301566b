import COSE
import Crypto
public import Wire

/// What of a security context must survive a restart (RFC 8613, 7.5 and B.1.1): identifiers, derived keys, and the bound
/// of the sequence numbers that may have been used.
///
/// It is as secret as the keys in it. The Replay Window is not part of it: after a restart it is invalid. On disk it is
/// the deterministic CBOR array `[1, sender ID, recipient ID, ID Context or null, sender key, recipient key, Common IV,
/// sequence bound]`.
public struct OSCOREDurableState: Equatable, Sendable {
  let keys: OSCOREKeys
  /// Where the sequence numbers continue: all below may have been used.
  public let sequenceBound: UInt64

  /// Identifies the endpoint whose state this is.
  public var senderID: OSCOREIdentifier { keys.senderID }
  /// Identifies the other endpoint.
  public var recipientID: OSCOREIdentifier { keys.recipientID }

  private static let version: UInt64 = 1
}

extension OSCOREDurableState: WireValue {
  /// Throws what ``CBORReader`` throws, ``DropReason/unsupported`` for another version, ``DropReason/lengthMismatch``
  /// for a field of a wrong length, and ``DropReason/oscoreParametersInvalid`` for equal identifiers.
  @_lifetime(reader: copy reader)
  public init(parsing reader: inout ByteReader) throws(ParseError) {
    var items = CBORReader(reader)
    try items.array(count: 8)
    guard try items.unsigned() == Self.version else { throw items.error(.unsupported) }
    let senderID = try Self.identifier(&items)
    let recipientID = try Self.identifier(&items)
    guard senderID != recipientID else { throw items.error(.oscoreParametersInvalid) }
    let idContext = try items.takeNull() ? nil : try items.bytes().array()
    let senderKey = SymmetricKey(data: try items.bytes(count: AESCCM.keyLength).array())
    let recipientKey = SymmetricKey(data: try items.bytes(count: AESCCM.keyLength).array())
    guard let commonIV = OSCORENonce(try items.bytes(count: AESCCM.nonceLength).array()) else {
      throw items.error(.lengthMismatch)
    }
    keys = OSCOREKeys(
      senderID: senderID, recipientID: recipientID, idContext: idContext, senderKey: senderKey,
      recipientKey: recipientKey, commonIV: commonIV)
    sequenceBound = try items.unsigned(upTo: SenderSequence.end)
    try reader.skip(items.offset - reader.offset)
  }

  @_lifetime(reader: copy reader)
  private static func identifier(_ reader: inout CBORReader) throws(ParseError) -> OSCOREIdentifier {
    let start = reader.offset
    let bytes = try reader.bytes().array()
    do { return try OSCOREIdentifier(bytes) } catch { throw ParseError(.lengthMismatch, at: start) }
  }

  public var encodedLength: Int { written().count }

  /// Writes the state.
  @_lifetime(writer: copy writer)
  public func emit(into writer: inout ByteWriter) throws(EmitError) { try writer.bytes(written()) }

  private func written() -> [UInt8] {
    var items = CBORWriter(capacity: 96 + (keys.idContext?.count ?? 0))
    items.array(8)
    items.unsigned(Self.version)
    items.bytes(keys.senderID.bytes)
    items.bytes(keys.recipientID.bytes)
    if let idContext = keys.idContext { items.bytes(idContext) } else { items.null() }
    items.bytes(keys.senderKey.bytes)
    items.bytes(keys.recipientKey.bytes)
    items.bytes(keys.commonIV.bytes)
    items.unsigned(sequenceBound)
    return items.bytes
  }
}

/// Says whose state it is; never a key.
extension OSCOREDurableState: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String {
    "OSCORE state, sender \(senderID), recipient \(recipientID), sequence bound \(sequenceBound)"
  }

  public var debugDescription: String { description }

  public var customMirror: Mirror { Mirror(self, children: []) }
}
