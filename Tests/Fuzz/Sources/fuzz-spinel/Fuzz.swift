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

/// Line noise: frames are no longer than allowed, every byte is accounted for at most once, and the next good frame is found.
func line(_ bytes: [UInt8]) {
  var decoder = HDLCDecoder(maximumLength: 200)
  var found = 0
  var reader = ByteReader(bytes.rawSpan)
  while let frame = decoder.next(&reader) {
    precondition(!frame.isEmpty && frame.count <= 200)
    found += frame.count
  }
  precondition(decoder.garbage <= UInt64(bytes.count - found))
  let good = HDLCLite.encode([0x80, 6, 0, 0x70])
  var next = ByteReader(good.rawSpan)
  precondition(decoder.next(&next) == [0x80, 6, 0, 0x70])
  // And what is encoded is found.
  guard !bytes.isEmpty, bytes.count <= 200 else { return }
  let wire = HDLCLite.encode(bytes)
  var again = ByteReader(wire.rawSpan)
  precondition(decoder.next(&again) == bytes && again.isAtEnd)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 11 {
  case 0: line(bytes)
  case 1: roundTrip(SpinelFrame.self, bytes)
  case 2: roundTrip(SpinelReceivedFrame.self, bytes)
  case 3: roundTrip(SpinelTransmitRequest.self, bytes)
  case 4: roundTrip(SpinelLastStatus.self, bytes)
  case 5: roundTrip(SpinelMACKeys.self, bytes)
  case 6: roundTrip(SpinelCapabilities.self, bytes)
  case 7: roundTrip(SpinelText.self, bytes)
  case 8: roundTrip(SpinelShortAddresses.self, bytes)
  case 9: roundTrip(SpinelExtendedAddresses.self, bytes)
  default: roundTrip(SpinelProtocolVersion.self, bytes)
  }
  return 0
}
