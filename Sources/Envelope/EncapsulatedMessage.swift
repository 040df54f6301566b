import COSE
import Wire

/// A CoAP message in an envelope (content format 65004), for nodes that are plain CoAP servers: what to ask of them,
/// without version, type, message ID and token, which belong to a hop.
public struct EncapsulatedMessage: Hashable, Sendable {
  /// An option with its absolute number (RFC 7252, 5.10).
  public struct Option: Hashable, Sendable {
    public var number: UInt16
    public var value: [UInt8]

    public init(_ number: UInt16, _ value: [UInt8]) {
      self.number = number
      self.value = value
    }
  }

  /// The code: class in the upper three bits, detail in the lower five (RFC 7252, 3).
  public var code: UInt8
  /// In the order in which they stand; those of one number keep their order.
  public var options: [Option]
  public var payload: [UInt8]

  public init(code: UInt8, options: [Option], payload: [UInt8]) {
    self.code = code
    self.options = options
    self.payload = payload
  }

  /// `0.03`.
  public var codeText: String {
    let detail = code & 31
    return "\(code >> 5).\(detail < 10 ? "0" : "")\(detail)"
  }

  /// The Uri-Path options joined: `/lock`. For people: segments are not escaped.
  public var path: String {
    "/"
      + options.filter { $0.number == 11 }.map { String(decoding: $0.value, as: UTF8.self) }.joined(
        separator: "/")
  }
}

extension EncapsulatedMessage: CBORItem {
  /// Reads `[code, [number, value, number, value...], payload]`. An odd number of items in the inner array is
  /// ``DropReason/envelopeStructure``, a number of more than 16 bits ``DropReason/coapOptionNumberOverflow``.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 3)
    code = UInt8(truncatingIfNeeded: try reader.unsigned(upTo: 255))
    let position = reader.offset
    let count = try reader.array()
    guard count.isMultiple(of: 2) else { throw ParseError(.envelopeStructure, at: position) }
    options = []
    for _ in 0..<count / 2 {
      let number = try reader.unsigned()
      guard number <= 0xffff else { throw ParseError(.coapOptionNumberOverflow, at: position) }
      options.append(Option(UInt16(truncatingIfNeeded: number), try reader.bytes().array()))
    }
    payload = try reader.bytes().array()
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(3)
    writer.unsigned(UInt64(code))
    writer.array(options.count * 2)
    for option in options {
      writer.unsigned(UInt64(option.number))
      writer.bytes(option.value)
    }
    writer.bytes(payload)
  }
}
