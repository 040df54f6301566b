import IEEE802154
import Wire

/// Reads a capture file, pcap or pcapng in either byte order, record by record.
public struct CaptureReader: ~Copyable, FrameSource {
  /// The file as the caller named it.
  public let file: String
  /// The link type of all records; libpcap refuses files with several.
  public let linkType: LinkType
  /// The number of the last record read, counted from 1; 0 before the first.
  public private(set) var recordNumber = 0
  /// What ``nextFrame()`` passed over, by reason.
  public private(set) var drops = DropCounters()

  private var input: PcapInput

  /// Opens `path`; `-` is standard input.
  ///
  /// Throws ``CaptureError`` if the file cannot be opened, is no capture, or has a link type that is not in
  /// ``LinkType/supported``.
  public init(path: String) throws(CaptureError) {
    let name = path == "-" ? "standard input" : path
    let input = try PcapInput(path: path, name: name)
    let linkType = LinkType(rawValue: input.linkType)
    guard LinkType.supported.contains(linkType) else {
      throw CaptureError(.linkTypeUnsupported(linkType), file: name, detail: input.linkTypeName)
    }
    self.file = name
    self.linkType = linkType
    self.input = input
  }

  /// The next record, or `nil` at the end of the file. The record is a view that the next call ends.
  ///
  /// Throws a ``CaptureError`` of the kind ``CaptureError/Kind/damagedRecord(_:)`` where the file is cut off or broken; after
  /// that, there is nothing more to read.
  @_lifetime(&self)
  public mutating func next() throws(CaptureError) -> CaptureRecord? {
    let outcome = input.advance()
    switch outcome {
    case .end: return nil
    case .record(let nanoseconds, let originalLength):
      recordNumber &+= 1
      return CaptureRecord(
        number: recordNumber, nanoseconds: nanoseconds, originalLength: originalLength, linkType: linkType,
        bytes: input.bytes)
    case .damaged(let detail):
      throw CaptureError(.damagedRecord(recordNumber + 1), file: file, detail: detail)
    }
  }

  /// The next IEEE 802.15.4 frame. Records without one are passed over and counted in ``drops``.
  public mutating func nextFrame() throws(CaptureError) -> CapturedFrame? {
    while let outcome = try nextOutcome() {
      switch outcome {
      case .success(let frame): return frame
      case .failure(let error): drops.count(error.reason)
      }
    }
    return nil
  }

  private mutating func nextOutcome() throws(CaptureError) -> Result<CapturedFrame, ParseError>? {
    guard let record = try next() else { return nil }
    return record.ownedFrame()
  }
}

/// One record of a capture file, as a view.
public struct CaptureRecord: ~Escapable {
  /// Counted from 1.
  public let number: Int
  /// When it was captured: nanoseconds since 1970-01-01T00:00:00Z.
  public let nanoseconds: Int64
  /// Bytes that were on the link; more than ``bytes`` has if the capture was limited.
  public let originalLength: Int
  public let linkType: LinkType
  /// What was captured, from the link layer's first byte.
  public let bytes: RawSpan

  @_lifetime(copy bytes)
  public init(number: Int, nanoseconds: Int64, originalLength: Int, linkType: LinkType, bytes: RawSpan) {
    self.number = number
    self.nanoseconds = nanoseconds
    self.originalLength = originalLength
    self.linkType = linkType
    self.bytes = bytes
  }

  /// When it was captured.
  public var timestamp: Instant {
    Instant(microseconds: nanoseconds >= 0 ? nanoseconds / 1000 : (nanoseconds - 999) / 1000)
  }

  /// The IEEE 802.15.4 frame in it, or `nil` if it is something else.
  ///
  /// Throws ``DropReason/captureRecordTruncated`` if the capture cut it off, and what
  /// ``CaptureDecapsulator/frame(_:_:timestamp:)`` throws.
  @_lifetime(copy self)
  public func frame() throws(ParseError) -> FrameView? {
    guard bytes.byteCount >= originalLength else {
      throw ParseError(.captureRecordTruncated, at: bytes.byteCount)
    }
    return try CaptureDecapsulator.frame(linkType, bytes, timestamp: timestamp)
  }

  /// A copy of the frame that ``frame()`` gives; no frame is ``DropReason/captureNotIEEE802154``.
  func ownedFrame() -> Result<CapturedFrame, ParseError> {
    do throws(ParseError) {
      guard let frame = try frame() else { return .failure(ParseError(.captureNotIEEE802154)) }
      return .success(frame.owned)
    } catch {
      return .failure(error)
    }
  }
}
