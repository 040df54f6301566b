/// The format of a representation (IANA "CoAP Content-Formats").
@frozen
public struct CoAPContentFormat: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// text/plain; charset=utf-8.
  @inlinable public static var textPlain: Self { Self(rawValue: 0) }
  /// application/cose; cose-type="cose-encrypt0" (RFC 9052).
  @inlinable public static var coseEncrypt0: Self { Self(rawValue: 16) }
  /// application/cose; cose-type="cose-sign1" (RFC 9052).
  @inlinable public static var coseSign1: Self { Self(rawValue: 18) }
  /// application/link-format (RFC 6690).
  @inlinable public static var linkFormat: Self { Self(rawValue: 40) }
  /// application/xml.
  @inlinable public static var xml: Self { Self(rawValue: 41) }
  /// application/octet-stream.
  @inlinable public static var octetStream: Self { Self(rawValue: 42) }
  /// application/json.
  @inlinable public static var json: Self { Self(rawValue: 50) }
  /// application/cbor (RFC 8949).
  @inlinable public static var cbor: Self { Self(rawValue: 60) }
  /// application/edhoc+cbor-seq (RFC 9528).
  @inlinable public static var edhoc: Self { Self(rawValue: 64) }
  /// application/cid-edhoc+cbor-seq (RFC 9528).
  @inlinable public static var edhocWithConnectionIdentifier: Self { Self(rawValue: 65) }
  /// application/cose; cose-type="cose-encrypt" (RFC 9052).
  @inlinable public static var coseEncrypt: Self { Self(rawValue: 96) }
  /// application/senml+json (RFC 8428).
  @inlinable public static var senMLJSON: Self { Self(rawValue: 110) }
  /// application/senml+cbor (RFC 8428).
  @inlinable public static var senMLCBOR: Self { Self(rawValue: 112) }
  /// application/concise-problem-details+cbor (RFC 9290).
  @inlinable public static var problemDetails: Self { Self(rawValue: 257) }

  // From the range for experiments (RFC 7252, 12.3): Pangate's own.
  @inlinable public static var peerRecord: Self { Self(rawValue: 65001) }
  @inlinable public static var configuration: Self { Self(rawValue: 65002) }
  @inlinable public static var receipt: Self { Self(rawValue: 65003) }
  /// A CoAP message as CBOR [code, options, payload].
  @inlinable public static var coapMessage: Self { Self(rawValue: 65004) }
  @inlinable public static var accessList: Self { Self(rawValue: 65005) }

  public var description: String { "\(rawValue)" }
}
