import IEEE802154
import Wire

/// Writes a pcap file.
///
/// The file is complete when ``flush()`` has returned; it is closed when the writer goes.
public struct PcapWriter: ~Copyable {
  /// Of the time stamps in the file.
  public enum Precision: Sendable {
    case microseconds
    case nanoseconds
  }

  /// The file as the caller named it.
  public let file: String
  public let precision: Precision
  private var output: PcapOutput

  /// Creates `path`, or empties it; `-` is standard output.
  ///
  /// Throws a ``CaptureError`` if the file cannot be created.
  public init(path: String, linkType: LinkType, precision: Precision = .microseconds) throws(CaptureError) {
    file = path == "-" ? "standard output" : path
    self.precision = precision
    output = try PcapOutput(
      path: path, name: file,
      linkType: linkType == .rawIPInFiles ? LinkType.rawIP.rawValue : linkType.rawValue,
      nanosecondPrecision: precision == .nanoseconds)
  }

  /// Appends a record that was captured `nanoseconds` after 1970-01-01T00:00:00Z.
  public mutating func write(_ bytes: RawSpan, nanoseconds: Int64) {
    let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    // The fraction of a time before 1970 must not be negative either.
    let (whole, fraction) = rest < 0 ? (seconds - 1, rest + 1_000_000_000) : (seconds, rest)
    output.write(
      bytes, seconds: whole, fraction: precision == .nanoseconds ? fraction : fraction / 1000,
      originalLength: bytes.byteCount)
  }

  /// Appends a record.
  public mutating func write(_ bytes: RawSpan, timestamp: Instant) {
    write(bytes, nanoseconds: timestamp.microseconds &* 1000)
  }

  /// Writes out what is buffered.
  ///
  /// Throws a ``CaptureError`` if this or an earlier write failed.
  public mutating func flush() throws(CaptureError) { try output.flush() }
}
