import Wire

/// Takes frames out of the bytes of a serial line, in whatever pieces they come.
///
/// What is not a frame is passed over up to the next flag and counted: so the decoder is in step again after a line that was
/// opened in the middle of a frame, lost bytes, and noise. It never holds more than one frame of the largest size.
public struct HDLCDecoder: Sendable {
  /// Bytes of the largest frame, without FCS. SPINEL_FRAME_MAX_SIZE.
  public let maximumLength: Int
  /// Frames that were none: ``DropReason/hdlcFCSMismatch``, ``DropReason/hdlcAborted``, ``DropReason/tooLong``,
  /// ``DropReason/truncated``.
  public private(set) var drops = DropCounters()
  /// Bytes between flags that belonged to no frame.
  public private(set) var garbage: UInt64 = 0

  private var content: [UInt8] = []
  private var fcs = HDLCFCS()
  private var isEscaped = false
  /// Too much came without a flag: nothing is kept until one comes.
  private var isOverlong = false

  public init(maximumLength: Int = 1300) { self.maximumLength = maximumLength }

  /// Reads on in `input` until a frame is complete and returns it without its FCS; `nil` when all of `input` is read.
  public mutating func next(_ input: inout ByteReader) -> [UInt8]? {
    while let byte = try? input.u8() {
      if byte == HDLCLite.flag {
        if let frame = end() { return frame }
      } else if isOverlong {
        garbage &+= 1
      } else if byte == HDLCLite.escape, !isEscaped {
        isEscaped = true
      } else {
        append(isEscaped ? byte ^ HDLCLite.escapeBit : byte)
        isEscaped = false
      }
    }
    return nil
  }

  private mutating func append(_ byte: UInt8) {
    guard content.count < maximumLength + HDLCLite.fcsLength else {
      isOverlong = true
      drops.count(.tooLong)
      garbage &+= UInt64(content.count) &+ 1
      content.removeAll(keepingCapacity: true)
      return
    }
    content.append(byte)
    fcs.add(byte)
  }

  /// A flag: the end of a frame, the beginning of one, or both.
  private mutating func end() -> [UInt8]? {
    defer {
      content.removeAll(keepingCapacity: true)
      fcs = HDLCFCS()
      isEscaped = false
      isOverlong = false
    }
    if isOverlong { return nil }
    if isEscaped {
      drop(.hdlcAborted)
    } else if content.isEmpty {
      // Flags may stand in a row.
    } else if content.count <= HDLCLite.fcsLength {
      drop(.truncated)
    } else if !fcs.isGood {
      drop(.hdlcFCSMismatch)
    } else {
      return Array(content.dropLast(HDLCLite.fcsLength))
    }
    return nil
  }

  private mutating func drop(_ reason: DropReason) {
    drops.count(reason)
    garbage &+= UInt64(content.count)
  }
}
