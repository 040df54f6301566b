import CoAP
import Wire

extension DecodedFrame.CoAP {
  /// Takes what is printed from a message.
  init(_ message: borrowing CoAPMessageView) {
    type = message.type.description
    code = message.code.isRequest ? message.code.name ?? message.code.description : Self.number(message.code)
    messageID = message.messageID
    token = HexBytes(bytes: message.token.bytes)
    payloadLength = message.payload.byteCount
    self.options = []
    var path = ""
    var query = ""
    var options = message.options
    while let option = options.next() {
      switch option.number {
      case .uriPath: path += "/" + Self.uriText(option.value)
      case .uriQuery: query += (query.isEmpty ? "?" : "&") + Self.uriText(option.value)
      default:
        self.options.append(
          DecodedFrame.Option(name: option.number.description, value: Self.text(option)))
      }
    }
    if message.code.isRequest { self.path = (path.isEmpty ? "/" : path) + query }
  }

  /// `2.05`
  private static func number(_ code: CoAPCode) -> String {
    "\(code.class).\(code.detail < 10 ? "0" : "")\(code.detail)"
  }

  /// Text as in a URI: what is not a letter, a digit or one of a few marks is percent-encoded, so that no control
  /// character of a stranger reaches a terminal.
  private static func uriText(_ bytes: RawSpan) -> String {
    var text = ""
    for byte in bytes.array() {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"), UInt8(ascii: "="), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: ","),
        UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "!"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default: text += "%" + [byte].hex.uppercased()
      }
    }
    return text
  }

  private static func text(_ option: borrowing CoAPOptionView) -> String {
    switch option.number.definition?.format {
    case .uint:
      guard let value = option.uint else { break }
      if option.number == .block1 || option.number == .block2, let block = CoAPBlock(optionValue: value) {
        return block.description
      }
      return "\(value)"
    case .string: return uriText(option.value)
    default: break
    }
    return option.value.hex
  }
}
