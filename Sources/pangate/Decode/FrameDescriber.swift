import BorderRouter
import IEEE802154
import Radio
import SixLoWPAN
import Wire

/// What `decode` was told beside the files.
struct DescriberSettings {
  var contexts: [ContextOption]
  var keys: [KeyOption]
  var extendedAddresses: [ExtendedAddressOption]
}

/// Describes the records of one capture with a ``FrameDecoder``, whose fragments, contexts and addresses go on from record to
/// record.
struct FrameDescriber: ~Copyable {
  private var decoder = FrameDecoder()
  private let settings: DescriberSettings
  private var summary: DecodeSummary
  private var start: Int64?
  private var pans: Set<PANIdentifier> = []

  init(_ settings: DescriberSettings, file: String) {
    self.settings = settings
    summary = DecodeSummary(file: file)
    for context in settings.contexts {
      decoder.contexts.set(context.identifier, prefix: context.prefix, compress: true, expires: nil)
    }
    for option in settings.keys {
      if let key = LinkKey(option.key) { decoder.keys.add(key, for: .index(option.index)) }
    }
  }

  /// Describes the next record.
  mutating func describe(_ record: borrowing CaptureRecord) -> DecodedFrame {
    var described = next(record.number, nanoseconds: record.nanoseconds, length: record.bytes.byteCount)
    do throws(ParseError) {
      guard let frame = try record.frame() else { throw ParseError(.captureNotIEEE802154) }
      try describe(frame.psdu, frame.metadata, &described)
    } catch {
      drop(error, &described)
    }
    return described
  }

  /// Describes the next frame of a radio.
  mutating func describe(_ frame: CapturedFrame, number: Int) -> DecodedFrame {
    let nanoseconds = frame.metadata.timestamp.microseconds &* 1000
    var described = next(number, nanoseconds: nanoseconds, length: frame.bytes.count)
    do throws(ParseError) { try describe(frame.bytes.rawSpan, frame.metadata, &described) } catch {
      drop(error, &described)
    }
    return described
  }

  private mutating func next(_ number: Int, nanoseconds: Int64, length: Int) -> DecodedFrame {
    let first = start ?? nanoseconds
    start = first
    summary.frames += 1
    return DecodedFrame(
      file: summary.file, number: number, time: CaptureTime(nanoseconds: nanoseconds),
      elapsed: Double(nanoseconds &- first) / 1e9, length: length)
  }

  private mutating func drop(_ error: ParseError, _ described: inout DecodedFrame) {
    summary.drops.count(error.reason)
    described.drop = DecodedFrame.Drop(reason: error.reason.name, offset: error.offset)
  }

  /// What is said at the end of the file. Datagrams that never became whole are counted.
  consuming func finish() -> DecodeSummary {
    var summary = summary
    for _ in 0..<decoder.datagramsUnderWay { summary.drops.count(.fragmentTimeout) }
    return summary
  }

  private mutating func describe(
    _ psdu: RawSpan, _ metadata: FrameMetadata, _ described: inout DecodedFrame
  ) throws(ParseError) {
    described.rssi = metadata.rssi
    described.lqi = metadata.lqi
    described.channel = metadata.channel
    for _ in 0..<decoder.expire(now: metadata.timestamp) { summary.drops.count(.fragmentTimeout) }
    let view = try MACFrameView(
      psdu, fcsPresent: metadata.fcsPresent, alreadyDecrypted: metadata.alreadyDecrypted)
    described.mac = DecodedFrame.MAC(view.header)
    configureAddresses(view.header)
    if view.header.control.type == .data, view.isPayloadClear {
      described.lowpan = DecodedFrame.Lowpan(view.payload)
    }
    var isPacket = false
    var problem: ParseError?
    do {
      let decoded = decoder.decode(psdu, metadata)
      isPacket = !decoded.packet.isEmpty
      problem = decoded.failure?.error
      if isPacket {
        do throws(ParseError) { try described.add(packet: decoded.packet) } catch {
          // The decoder has found the same, or leaves it to others.
          problem = problem ?? error
        }
      }
    }
    if isPacket { summary.packets += 1 }
    if let problem { throw problem }
  }

  /// The short addresses that were given hold in every PAN of the capture.
  private mutating func configureAddresses(_ header: MACHeader) {
    guard !settings.extendedAddresses.isEmpty, let pan = header.effectiveSourcePAN, pans.insert(pan).inserted else {
      return
    }
    for option in settings.extendedAddresses {
      decoder.addresses.configure(option.short, in: pan, as: option.extended)
    }
  }
}

extension DecodedFrame.MAC {
  init(_ header: MACHeader) {
    let names: [FrameType: String] = [.beacon: "beacon", .data: "data", .acknowledgment: "ack", .command: "cmd"]
    type = names[header.control.type] ?? "type \(header.control.type.rawValue)"
    version = header.control.version?.rawValue ?? 3
    sequence = header.sequenceNumber
    sourcePAN = header.effectiveSourcePAN?.description
    source = header.source == .absent ? nil : header.source.description
    destinationPAN = header.destinationPAN?.description
    destination = header.destination == .absent ? nil : header.destination.description
    secured = header.control.isSecured
    ackRequest = header.control.isAcknowledgmentRequested
    framePending = header.control.isFramePending
  }
}

extension DecodedFrame.Lowpan {
  /// The form of a MAC payload; `nil` for what is not 6LoWPAN or ends too early.
  init?(_ payload: RawSpan) {
    var reader = ByteReader(payload)
    do throws(ParseError) { try self.init(&reader) } catch { return nil }
  }

  @_lifetime(reader: copy reader)
  private init?(_ reader: inout ByteReader) throws(ParseError) {
    form = ""
    if LowpanDispatch(try reader.peek()) == .mesh {
      let header = try MeshHeader(parsing: &reader)
      mesh = DecodedFrame.Mesh(
        originator: header.originator.description, destination: header.finalDestination.description,
        hopsLeft: header.hopsLeft)
    }
    if LowpanDispatch(try reader.peek()) == .broadcast { _ = try BroadcastHeader(parsing: &reader) }
    let byte = try reader.peek()
    switch LowpanDispatch(byte) {
    case .notALowpanFrame: return nil
    case .firstFragment:
      let header = try FirstFragmentHeader(parsing: &reader)
      form = "FRAG1"
      fragment = DecodedFrame.Fragment(datagramSize: Int(header.datagramSize), tag: header.tag, offset: 0)
    case .nextFragment:
      let header = try NextFragmentHeader(parsing: &reader)
      form = "FRAGN"
      fragment = DecodedFrame.Fragment(
        datagramSize: Int(header.datagramSize), tag: header.tag, offset: Int(header.offset) * 8)
    case .datagram: form = byte == 0x41 ? "IPv6" : byte == 0x42 ? "HC1" : "IPHC"
    case .page(let number): form = "page \(number)"
    case .mesh, .broadcast, .unsupported, .unknown: form = "?"
    }
  }
}
