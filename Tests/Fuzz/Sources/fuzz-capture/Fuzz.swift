import IEEE802154
import Radio
import Wire

/// What parses is emitted and parsed again: the two values are equal and the length is the one announced.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) {
  var reader = ByteReader(bytes.rawSpan)
  guard let value = try? T(parsing: &reader) else { return }
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted.count == value.encodedLength)
  guard let again = try? T(parsing: emitted) else { preconditionFailure("\(value) does not parse again") }
  precondition(again == value)
}

/// A frame that is found lies within the record.
func decapsulate(_ linkType: LinkType, _ bytes: [UInt8]) {
  guard let found = try? CaptureDecapsulator.frame(linkType, bytes.rawSpan, timestamp: Instant(seconds: 0))
  else {
    return
  }
  precondition(found.psdu.byteCount <= bytes.count)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  let selector = Int(data.pointee) % (LinkType.supported.count + 2)
  switch selector {
  case 0: roundTrip(TAPHeader.self, bytes)
  case 1: roundTrip(ZEPHeader.self, bytes)
  default: decapsulate(LinkType.supported[selector - 2], bytes)
  }
  return 0
}
