import IEEE802154
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

/// A frame that parses is written again byte for byte; what is under security opens to something or to an error.
func frame(_ bytes: [UInt8], fcsPresent: Bool, alreadyDecrypted: Bool) {
  guard
    let view = try? MACFrameView(bytes.rawSpan, fcsPresent: fcsPresent, alreadyDecrypted: alreadyDecrypted)
  else { return }
  precondition(view.headerLength <= bytes.count)
  if !alreadyDecrypted, let again = try? MACFrame(view).encoded(withFCS: false) {
    precondition(again == Array(bytes.prefix(bytes.count - (fcsPresent ? FCS.length : 0))))
  }
  var elements = HeaderIEs(view.headerIEs)
  while let element = try? elements.next() { precondition(element.content.byteCount <= bytes.count) }
  if view.hasPayloadIEs { _ = try? PayloadIE.length(in: view.payload) }
  if let key = LinkKey([UInt8](repeating: 1, count: 16)) {
    _ = try? FrameSecurity.unsecure(view, bytes: bytes.rawSpan, key: key, source: ExtendedAddress(1))
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = [UInt8](UnsafeBufferPointer(start: data, count: count))
  guard let selector = input.first else { return 0 }
  let bytes = Array(input.dropFirst())
  switch selector {
  case 0: frame(bytes, fcsPresent: false, alreadyDecrypted: false)
  case 1: frame(bytes, fcsPresent: true, alreadyDecrypted: false)
  case 2: frame(bytes, fcsPresent: false, alreadyDecrypted: true)
  case 3: roundTrip(MACHeader.self, bytes)
  case 4: roundTrip(MultipurposeHeader.self, bytes)
  case 5: roundTrip(MACCommand.self, bytes)
  case 6: roundTrip(Beacon.self, bytes)
  case 7: roundTrip(AuxiliarySecurityHeader.self, bytes)
  case 8: roundTrip(HeaderIE.self, bytes)
  case 9: roundTrip(PayloadIE.self, bytes)
  default: break
  }
  return 0
}
