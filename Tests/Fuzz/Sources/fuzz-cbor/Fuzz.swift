import COSE
import Wire

/// What parses is the one encoding of its value, and passing over it says the same.
func roundTrip(_ bytes: [UInt8]) {
  var reader = CBORReader(bytes.rawSpan)
  let skipped: Bool
  do throws(ParseError) {
    try reader.skip()
    try reader.expectEnd()
    skipped = true
  } catch { skipped = false }
  guard let value = try? CBORValue(parsing: bytes) else {
    precondition(!skipped)
    return
  }
  precondition(skipped)
  precondition(value.encodedLength == bytes.count)
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted == bytes)
  precondition((try? CBORValue(parsing: emitted)) == value)
  _ = value.description
}

/// Reads typed items in the order that the input asks for; a read that throws consumes nothing.
func typedReads(_ script: [UInt8], _ bytes: [UInt8]) {
  var reader = CBORReader(bytes.rawSpan)
  var map: CBORMapPosition?
  for step in script {
    let before = reader.offset
    do throws(ParseError) {
      switch step % 16 {
      case 0: _ = try reader.unsigned()
      case 1: _ = try reader.integer()
      case 2: _ = try reader.bytes()
      case 3: _ = try reader.bytes(count: Int(step))
      case 4: _ = try reader.text()
      case 5:
        let count = try reader.array()
        precondition(count <= bytes.count)
      case 6: map = try reader.map()
      case 7: _ = try reader.tag()
      case 8: _ = try reader.bool()
      case 9: _ = try reader.takeNull()
      case 10: _ = try reader.float()
      case 11: _ = try reader.simple()
      case 12:
        let item = try reader.itemBytes()
        precondition(item.byteCount == reader.offset - before)
      case 13: try reader.array(count: Int(step))
      case 14: _ = try reader.unsigned(upTo: 1 << 32)
      default:
        // Also with the position of a map that the reader has long left.
        if var position = map {
          defer { map = position }
          if try reader.nextKey(in: &position) { try reader.skip() }
        }
      }
    } catch { precondition(reader.offset == before) }
    precondition(reader.offset >= before && reader.offset + reader.rest.byteCount == bytes.count)
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  let selector = Int(data.pointee)
  if selector < 128 {
    roundTrip(bytes)
  } else {
    let script = min(selector - 128, bytes.count)
    typedReads([UInt8](bytes.prefix(script)), [UInt8](bytes.dropFirst(script)))
  }
  return 0
}
