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
  // Its first flag may complete a frame of the input.
  let good = HDLCLite.encode([0x80, 6, 0, 0x70])
  var next = ByteReader(good.rawSpan)
  let first = decoder.next(&next)
  precondition(first == [0x80, 6, 0, 0x70] || decoder.next(&next) == [0x80, 6, 0, 0x70])
  // And what is encoded is found.
  guard !bytes.isEmpty, bytes.count <= 200 else { return }
  let wire = HDLCLite.encode(bytes)
  var again = ByteReader(wire.rawSpan)
  precondition(decoder.next(&again) == bytes && again.isAtEnd)
}

/// A host with a co-processor that says anything: it never traps, never waits for ever, and every frame has one result.
///
/// The input is a row of steps: a byte says what happens, the next how many bytes of what follows belong to it.
func host(_ input: [UInt8]) {
  let settings = RadioSettings(
    channel: 15, panID: PANIdentifier(0xabcd), extendedAddress: ExtendedAddress(1), shortAddress: ShortAddress(1))
  var host = SpinelHost(radio: "fuzz", settings: settings)
  var now = Instant(seconds: 1_700_000_000)
  var waiting = 0
  var hasFailed = false
  func take() {
    for event in host.takeEvents() {
      precondition(!hasFailed, "something follows a failure")
      switch event {
      case .transmitted: waiting -= 1
      case .failed: hasFailed = true
      case .frame(let frame): precondition(!frame.bytes.isEmpty)
      case .ready, .recovered, .sourceMatchSet, .keysSet: break
      }
      precondition(waiting >= 0)
    }
  }
  host.start(at: now)
  take()
  var transaction: UInt8 = 0
  var position = 0
  while position + 1 < input.count {
    let (step, length) = (input[position], Int(input[position + 1]))
    let bytes = Array(input[(position + 2)...].prefix(length))
    position += 2 + bytes.count
    // An answer to the last request, whatever it is.
    let output = host.takeOutput()
    var decoder = HDLCDecoder()
    var reader = ByteReader(output.rawSpan)
    var property: [UInt8] = [0]
    while let content = decoder.next(&reader) {
      transaction = (content.first ?? 0) & 15
      property = Array(content.dropFirst(2).prefix { $0 & 0x80 != 0 })
      property += content.dropFirst(2 + property.count).prefix(1)
    }
    switch step & 7 {
    case 0: host.receive(bytes.rawSpan, at: now)
    case 1: host.receive(HDLCLite.encode([0x80 | transaction, 6] + bytes).rawSpan, at: now)
    case 2: host.receive(HDLCLite.encode([0x80 | transaction, 6] + property + bytes).rawSpan, at: now)
    case 3: host.receive(HDLCLite.encode([0x80, 6, 0, 0x70]).rawSpan, at: now)
    case 4: host.receive(HDLCLite.encode([0x80, 6, 0x71] + bytes).rawSpan, at: now)
    case 5: if host.transmit(bytes, at: now) { waiting += 1 }
    case 6:
      host.setSourceMatch(
        SourceMatch(
          short: Set(bytes.map { ShortAddress(UInt16($0)) }), extended: Set(bytes.map { ExtendedAddress(UInt64($0)) })),
        at: now)
    default:
      now = now.advanced(by: .milliseconds(length * length))
      host.timeout(at: now)
    }
    precondition(waiting <= 1)
    take()
  }
  // Nobody answers any more: it ends.
  var steps = 0
  while let next = host.nextTimeout {
    now = max(now, next)
    host.timeout(at: now)
    take()
    steps += 1
    precondition(steps < 100)
  }
  precondition(waiting == 0)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 12 {
  case 0: line(bytes)
  case 11: host(bytes)
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
