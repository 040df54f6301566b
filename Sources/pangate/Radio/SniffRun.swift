import Foundation
import IEEE802154
import Radio

/// What `sniff` was told to do with frames.
struct SniffPlan: Sendable {
  enum Format {
    case table
    case json
  }

  var radio: RadioURL
  /// For frames that do not tell theirs.
  var channel: TAPHeader.Channel?
  var output: String?
  /// Frames after which it ends.
  var count: Int?
  /// `nil` prints nothing.
  var print: Format?
  var settings: DescriberSettings
}

/// One run of `sniff`: prints and records frames, each at once.
struct SniffRun: ~Copyable {
  private let plan: SniffPlan
  private var describer: FrameDescriber
  private var text = OutputBuffer()
  private var capture: PcapngWriter?
  private var frames = 0
  private var error: RadioError?

  /// Creates the file.
  init(_ plan: SniffPlan) throws {
    self.plan = plan
    let name = plan.radio.description
    describer = FrameDescriber(plan.settings, file: name)
    if let path = plan.output {
      do throws(CaptureError) { capture = try PcapngWriter(path: path, radio: name) } catch {
        throw Failure.cannotStart(error.description)
      }
    } else {
      capture = nil
    }
    if plan.print == .table { try line(DecodeTable.header) }
  }

  /// Takes what came from the radio. False if that was the last.
  mutating func take(_ event: RadioEvent) throws -> Bool {
    switch event {
    case .failed(let error):
      if case .pcap = plan.radio.target, error.kind == .gone { return false }
      self.error = error
      return false
    case .frame(let frame):
      frames += 1
      do throws(CaptureError) { try capture?.write(frame, channel: plan.channel) } catch {
        throw Failure.cannotStart(error.description)
      }
      if let format = plan.print {
        let described = describer.describe(frame, number: frames)
        try line(format == .json ? JSONOutput.line(described) : DecodeTable.line(described))
      }
      return frames != plan.count
    }
  }

  private mutating func line(_ line: String) throws {
    do {
      try text.line(line)
      try text.flush()
    } catch { throw Failure.cannotStart("standard output: cannot write: \(reason(error))") }
  }

  consuming func finish() -> SniffSummary {
    SniffSummary(
      radio: plan.radio.description, frames: frames, file: capture?.file,
      decoded: plan.print == nil ? nil : describer.finish(), error: error)
  }
}

/// What `sniff` says at the end.
struct SniffSummary: Sendable {
  var radio: String
  var frames: Int
  /// Where they were recorded.
  var file: String?
  /// `nil` if nothing was decoded.
  var decoded: DecodeSummary?
  /// What ended it, if the radio failed.
  var error: RadioError?

  func text(_ statistics: RadioStatistics) -> String {
    var lines = [decoded?.text ?? "\(radio): \(frames) frames"]
    if statistics.overruns > 0 { lines.append("\(radio): \(statistics.overruns) frames came too fast and are lost") }
    if statistics.malformed > 0 { lines.append("\(radio): \(statistics.malformed) times no frame was received") }
    if let file { lines.append("\(file): \(frames) frames written") }
    return lines.joined(separator: "\n")
  }
}
