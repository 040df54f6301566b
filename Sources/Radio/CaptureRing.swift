import IEEE802154
import Synchronization
import Wire

/// What a gateway's radio hears and says, in pcapng files that never take more than a given room.
///
/// Frames go to PATH. When it is full it becomes PATH.1, what was PATH.1 becomes PATH.2 and so on, and the oldest is
/// removed. Each file is valid by itself at any time, and only its owner can read it (mode 0600). What an earlier run
/// left is kept as older files. An error never reaches whoever writes: it is counted, and the first one reported.
public final class CaptureRing: Sendable {
  public struct Statistics: Sendable, Hashable {
    /// Frames in the files.
    public var written: UInt64 = 0
    /// Frames that could not be written.
    public var lost: UInt64 = 0

    public init() {}
  }

  private struct State: ~Copyable {
    var file: CaptureFile?
    var statistics = Statistics()
    var hasReported = false
  }

  public let path: String
  private let maximumBytes: Int
  private let files: Int
  private let encoder: PcapngEncoder
  private let report: @Sendable (CaptureError) -> Void
  private let state = Mutex(State())

  /// Bytes that one file may have.
  private var share: Int { maximumBytes / files }

  /// Opens the ring, so that a place that cannot be written is reported now. `maximumBytes` is for all `files` together.
  /// `report` is called once, with the first error.
  public init(
    path: String, maximumBytes: Int, files: Int = 2, encoder: PcapngEncoder,
    report: @escaping @Sendable (CaptureError) -> Void
  ) {
    self.path = path
    self.maximumBytes = maximumBytes
    self.files = max(1, files)
    self.encoder = encoder
    self.report = report
    attempt { (state) throws(CaptureError) in try self.open(&state) }
  }

  public var statistics: Statistics { state.withLock { $0.statistics } }

  /// Appends a frame. `channel` is written if the frame's metadata has none.
  public func write(
    _ frame: CapturedFrame, _ direction: PcapngPacket.Direction, channel: TAPHeader.Channel? = nil
  ) {
    let encoded = Result { () throws(EmitError) in try encoder.record(frame, direction, channel: channel) }
    let isWritten = attempt { (state) throws(CaptureError) in
      try self.append(try Self.bytes(encoded, self.path), &state)
      state.statistics.written &+= 1
    }
    if !isWritten { state.withLock { $0.statistics.lost &+= 1 } }
  }

  /// Does `work`, and reports its error if it is the first.
  @discardableResult
  private func attempt(_ work: (inout State) throws(CaptureError) -> Void) -> Bool {
    let (isDone, first) = state.withLock { state -> (Bool, CaptureError?) in
      do throws(CaptureError) {
        try work(&state)
        return (true, nil)
      } catch {
        defer { state.hasReported = true }
        return (false, state.hasReported ? nil : error)
      }
    }
    if let first { report(first) }
    return isDone
  }

  private static func bytes(_ encoded: Result<[UInt8], EmitError>, _ path: String) throws(CaptureError) -> [UInt8] {
    do throws(EmitError) { return try encoded.get() } catch {
      throw CaptureError(.cannotWrite, file: path, detail: "a frame that pcapng cannot hold")
    }
  }

  private func append(_ record: [UInt8], _ state: inout State) throws(CaptureError) {
    if let size = state.file?.size, size + record.count > share { state.file = nil }
    if state.file == nil { try open(&state) }
    guard let size = state.file?.size, size + record.count <= share else {
      throw CaptureError(.cannotWrite, file: path, detail: "\(maximumBytes) bytes in \(files) files hold no frame")
    }
    do throws(CaptureError) { try state.file?.append(record) } catch {
      if state.file?.isDamaged == true { state.file = nil }
      throw error
    }
  }

  /// Makes PATH a new file with nothing but its header.
  private func open(_ state: inout State) throws(CaptureError) {
    let encoded = Result { () throws(EmitError) in try encoder.header() }
    let header = try Self.bytes(encoded, path)
    switch CaptureFile.existing(path) {
    case .nothing: break
    case .other: throw CaptureError(.cannotWrite, file: path, detail: "it is no regular file")
    case .file(let size) where size <= header.count: try CaptureFile.remove(path)
    case .file: try rotate()
    }
    var file = try CaptureFile(creating: path, mode: 0o600, isExclusive: true)
    try file.append(header)
    state.file = consume file
  }

  private func name(_ age: Int) -> String { age == 0 ? path : "\(path).\(age)" }

  /// Makes every file one older, and keeps of the older ones what leaves room for a new one.
  private func rotate() throws(CaptureError) {
    if files == 1 { return try CaptureFile.remove(path) }
    for age in stride(from: files - 2, through: 0, by: -1) where CaptureFile.existing(name(age)) != .nothing {
      try CaptureFile.rename(name(age), to: name(age + 1))
    }
    // Files of an earlier run may be larger.
    var room = maximumBytes - share
    for age in 1..<files {
      guard case .file(let size) = CaptureFile.existing(name(age)) else { continue }
      if size > room { try CaptureFile.remove(name(age)) } else { room -= size }
    }
  }
}
