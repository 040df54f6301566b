/// CoAP content formats (RFC 7252, 12.3) that Pangate itself uses; the devices' own ones pass through unread.
public enum ContentFormats {
  /// `application/cose; cose-type="cose-sign1"` (RFC 9052, 11.3.2): an envelope.
  public static let envelope: UInt64 = 18
  /// `application/senml+json` (RFC 8428).
  public static let senmlJSON: UInt64 = 110
  /// `application/senml+cbor` (RFC 8428).
  public static let senmlCBOR: UInt64 = 112

  // From the experimental range, 65000 to 65535.

  /// A ``PeerRecord``.
  public static let peerRecord: UInt64 = 65001
  /// The configuration of a member.
  public static let configuration: UInt64 = 65002
  /// A ``Receipt``.
  public static let receipt: UInt64 = 65003
  /// A ``EncapsulatedMessage``: a CoAP message for nodes that are plain CoAP servers.
  public static let coapMessage: UInt64 = 65004
  /// An ``AccessList``.
  public static let accessList: UInt64 = 65005

  /// A ``StreamKey``, which opens a stream.
  public static let streamKey: UInt64 = 65006

  /// The name of a format of this list, for people.
  public static func name(_ format: UInt64) -> String? {
    switch format {
    case envelope: "envelope"
    case senmlJSON: "SenML JSON"
    case senmlCBOR: "SenML CBOR"
    case peerRecord: "peer record"
    case configuration: "configuration"
    case receipt: "receipt"
    case coapMessage: "CoAP message"
    case accessList: "access list"
    case streamKey: "stream key"
    case 0: "text"
    case 40: "link format"
    case 42: "octet stream"
    case 50: "JSON"
    case 60: "CBOR"
    default: nil
    }
  }
}
