import Foundation
import Radio
import Wire

/// One run of `decode` over its files.
struct DecodeRun: ~Copyable {
  private let format: DecodeFormat
  private let severalFiles: Bool
  private let settings: DescriberSettings
  private let outputName: String
  private var text: OutputBuffer
  private var pcap: PcapWriter?
  /// What the command ends with; `nil` if all went well.
  private(set) var exitCode: Int32?

  /// Opens the output.
  init(format: DecodeFormat, output: String?, severalFiles: Bool, settings: DescriberSettings) throws {
    self.format = format
    self.severalFiles = severalFiles
    self.settings = settings
    outputName = output ?? "standard output"
    if format == .pcap {
      do throws(CaptureError) { pcap = try PcapWriter(path: output ?? "-", linkType: .rawIP) } catch {
        throw Failure.cannotStart(error.description)
      }
      text = OutputBuffer()
    } else {
      text = OutputBuffer(try output.map(Self.create) ?? .standardOutput)
    }
  }

  private static func create(_ path: String) throws -> FileHandle {
    do {
      try Data().write(to: URL(fileURLWithPath: path))
      return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    } catch CocoaError.fileNoSuchFile {
      throw Failure.cannotStart("\(path): cannot write: no such folder")
    } catch { throw Failure.cannotStart("\(path): cannot write: \(reason(error))") }
  }

  /// Decodes one file. One that cannot be opened is noted, and the run goes on.
  mutating func decode(_ path: String) throws {
    var reader: CaptureReader
    do throws(CaptureError) { reader = try CaptureReader(path: path) } catch {
      note("pangate: \(error)")
      exitCode = Exit.cannotStart
      return
    }
    if format == .table {
      if severalFiles { try line(reader.file) }
      try line(DecodeTable.header)
    }
    var describer = FrameDescriber(settings, file: reader.file)
    while true {
      let frame: DecodedFrame
      do throws(CaptureError) {
        guard let record = try reader.next() else { break }
        frame = describer.describe(record)
      } catch {
        note("pangate: \(error)")
        exitCode = max(exitCode ?? Exit.done, Exit.inputErrors)
        break
      }
      try write(frame)
    }
    try flush()
    let summary = describer.finish()
    note(summary.text)
    if summary.hasErrors { exitCode = max(exitCode ?? Exit.done, Exit.inputErrors) }
  }

  private mutating func write(_ frame: DecodedFrame) throws {
    switch format {
    case .table: try line(DecodeTable.line(frame))
    case .json: try line(JSONOutput.line(frame))
    case .ipv6Hex:
      if let packet = frame.ipv6?.bytes { try line(packet.bytes.hex) }
    case .pcap:
      if let packet = frame.ipv6?.bytes {
        pcap?.write(packet.bytes.rawSpan, nanoseconds: frame.time.nanoseconds)
      }
    }
  }

  private mutating func line(_ line: String) throws {
    do { try text.line(line) } catch {
      throw Failure.cannotStart("\(outputName): cannot write: \(reason(error))")
    }
  }

  /// Writes out what is buffered, so that what was read stands before what is said of it.
  private mutating func flush() throws {
    do {
      try text.flush()
      try pcap?.flush()
    } catch let error as CaptureError {
      throw Failure.cannotStart(error.description)
    } catch { throw Failure.cannotStart("\(outputName): cannot write: \(reason(error))") }
  }
}
