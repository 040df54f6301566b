/// What kind of data item comes next (RFC 8949, 3.1): the major types, with the simple values told apart.
public enum CBORKind: Sendable, Hashable {
  case unsigned
  case negative
  case bytes
  case text
  case array
  case map
  case tag
  case bool
  case null
  case undefined
  /// A simple value without a name of its own.
  case simple
  case float

  /// The kind that an initial byte announces, whether or not what follows is well-formed.
  init(initialByte: UInt8) {
    switch initialByte >> 5 {
    case 0: self = .unsigned
    case 1: self = .negative
    case 2: self = .bytes
    case 3: self = .text
    case 4: self = .array
    case 5: self = .map
    case 6: self = .tag
    default:
      switch initialByte & 31 {
      case 20, 21: self = .bool
      case 22: self = .null
      case 23: self = .undefined
      case 25, 26, 27: self = .float
      default: self = .simple
      }
    }
  }
}
