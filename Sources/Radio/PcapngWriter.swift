import IEEE802154
import Wire

/// Writes a pcapng file of IEEE 802.15.4 frames with TAP headers, each frame at once: whoever reads the file while it is
/// written sees whole frames.
public struct PcapngWriter: ~Copyable {
  /// The file as the caller named it.
  public let file: String
  private let encoder: PcapngEncoder
  private var output: CaptureFile

  /// Creates `path`, or empties it; `-` is standard output. `radio` names the interface.
  ///
  /// Throws a ``CaptureError`` if the file cannot be created.
  public init(
    path: String, radio: String, resolution: PcapngEncoder.Resolution = .microseconds
  ) throws(CaptureError) {
    let name = path == "-" ? "standard output" : path
    let encoder = PcapngEncoder(radio: radio, resolution: resolution)
    let header = try Self.bytes(name) { () throws(EmitError) in try encoder.header() }
    var output = path == "-" ? CaptureFile(standardOutputNamed: name) : try CaptureFile(creating: path)
    try output.append(header)
    file = name
    self.encoder = encoder
    self.output = output
  }

  /// Appends a frame. `channel` is written if the frame's metadata has none.
  ///
  /// Throws a ``CaptureError`` if that fails; the frames before are in the file.
  public mutating func write(
    _ frame: CapturedFrame, _ direction: PcapngPacket.Direction = .inbound, channel: TAPHeader.Channel? = nil
  ) throws(CaptureError) {
    let encoder = encoder
    let record = try Self.bytes(file) { () throws(EmitError) in
      try encoder.record(frame, direction, channel: channel)
    }
    try output.append(record)
  }

  private static func bytes(
    _ name: String, _ encode: () throws(EmitError) -> [UInt8]
  ) throws(CaptureError) -> [UInt8] {
    do throws(EmitError) { return try encode() } catch {
      throw CaptureError(.cannotWrite, file: name, detail: "a frame that pcapng cannot hold")
    }
  }
}
