import CoAP
import Wire

/// What parses is emitted and parsed again: the two values are equal and the length is the one announced.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) {
  var reader = ByteReader(bytes.rawSpan)
  guard let value = try? T(parsing: &reader) else { return }
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted.count == value.encodedLength)
  // A message has one form only.
  precondition(emitted == Array(bytes.prefix(emitted.count)))
  guard let again = try? T(parsing: emitted) else { preconditionFailure("\(value) does not parse again") }
  precondition(again == value)
}

/// The view and the value agree, and the options are what the message's properties say.
func compare(_ bytes: [UInt8]) {
  guard let view = try? CoAPMessageView(bytes.rawSpan) else {
    precondition((try? CoAPMessage(parsing: bytes)) == nil)
    return
  }
  guard let message = try? CoAPMessage(parsing: bytes) else { preconditionFailure("a view and no value") }
  precondition(message.options.count == view.content.optionCount)
  var options = view.options
  var index = 0
  while let option = options.next() {
    precondition(message.options[index].number == option.number)
    precondition(message.options[index].value == option.value.array())
    index += 1
  }
  precondition(index == message.options.count && message.payload == view.payload.array())
  _ = message.description
  _ = (message.uriPath, message.uriQuery, message.contentFormat, message.accept, message.eTag, message.maxAge)
  _ = (message.observe, message.size1, message.size2, message.hopLimit, message.noResponse)
  for block in [message.block1, message.block2].compactMap({ $0 }) {
    precondition(CoAPBlock(optionValue: block.optionValue) == block)
  }
  guard let kept = try? message.options.recognized(Set(CoAPOptionNumber.known)) else { return }
  precondition(kept.count <= message.options.count)
  precondition((try? kept.recognized(Set(CoAPOptionNumber.known))) == kept)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 3 {
  case 0: roundTrip(CoAPMessage.self, bytes)
  case 1: roundTrip(CoAPHeader.self, bytes)
  default: compare(bytes)
  }
  return 0
}
