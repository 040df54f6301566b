import Wire

/// Bytes that are printed as hexadecimal.
struct HexBytes: Encodable {
  var bytes: [UInt8]

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes.hex)
  }
}

/// A time of a capture, printed as seconds since 1970.
struct CaptureTime: Encodable {
  var nanoseconds: Int64

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Double(nanoseconds) / 1e9)
  }
}

/// Everything that `decode` knows of one record of a capture, for printing. Its properties are the keys of the JSON.
struct DecodedFrame: Encodable {
  /// The capture file.
  var file: String
  /// The number of the record in it, counted from 1.
  var number: Int
  var time: CaptureTime
  /// Seconds since the first record.
  var elapsed: Double
  /// Bytes of the record.
  var length: Int
  /// dBm.
  var rssi: Int8?
  var lqi: UInt8?
  var channel: UInt8?
  var mac: MAC?
  var lowpan: Lowpan?
  var ipv6: IPv6?
  var udp: UDP?
  var icmpv6: ICMPv6?
  var coap: CoAP?
  var drop: Drop?

  struct MAC: Encodable {
    var type: String
    /// Of the frame format: 0 for 2003, 1 for 2006, 2 for 2015.
    var version: UInt8
    var sequence: UInt8?
    var sourcePAN: String?
    var source: String?
    var destinationPAN: String?
    var destination: String?
    var secured: Bool
    var ackRequest: Bool
    var framePending: Bool
  }

  struct Lowpan: Encodable {
    /// `IPHC`, `IPv6`, `HC1`, `FRAG1`, `FRAGN` and so on.
    var form: String
    var mesh: Mesh?
    var fragment: Fragment?
  }

  struct Mesh: Encodable {
    var originator: String
    var destination: String
    var hopsLeft: UInt8
  }

  /// All in bytes.
  struct Fragment: Encodable {
    var datagramSize: Int
    var tag: UInt16
    var offset: Int
  }

  struct IPv6: Encodable {
    var source: String
    var destination: String
    var trafficClass: UInt8
    var flowLabel: UInt32
    var payloadLength: UInt16
    var nextHeader: UInt8
    var hopLimit: UInt8
    /// What stands behind all extension headers.
    var upperProtocol: UInt8?
    /// The whole packet.
    var bytes: HexBytes
  }

  struct UDP: Encodable {
    var sourcePort: UInt16
    var destinationPort: UInt16
    var checksum: UInt16
    var payload: HexBytes
  }

  struct ICMPv6: Encodable {
    var type: UInt8
    var name: String
    var code: UInt8
    var checksum: UInt16
  }

  struct CoAP: Encodable {
    /// `CON`, `NON`, `ACK` or `RST`.
    var type: String
    var code: String
    var messageID: UInt16
    var token: HexBytes
    /// Path and query of a request, as in a URI.
    var path: String?
    /// The options that are not in `path`.
    var options: [Option]
    var payloadLength: Int
  }

  struct Option: Encodable {
    var name: String
    var value: String
  }

  struct Drop: Encodable {
    /// The name of a `DropReason`.
    var reason: String
    /// Bytes from the start of what was parsed to the place where it went wrong.
    var offset: UInt32
  }
}
