/// A capture file that cannot be read or written, said in one line: the file, the record, and what to do.
public struct CaptureError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// The file cannot be opened.
    case cannotOpen
    /// The file is neither pcap nor pcapng, or its header is broken.
    case notACapture
    /// The frames are of a link type that cannot carry IEEE 802.15.4, or that Pangate does not know.
    case linkTypeUnsupported(LinkType)
    /// The record with this number, counted from 1, is cut off or broken. Those before it were read, and nothing behind it can be.
    case damagedRecord(Int)
    /// The output cannot be written.
    case cannotWrite
  }

  public var kind: Kind
  /// The file as the caller named it.
  public var file: String
  /// What libpcap or the system said.
  public var detail: String

  public init(_ kind: Kind, file: String, detail: String) {
    self.kind = kind
    self.file = file
    self.detail = detail
  }

  public var description: String {
    switch kind {
    case .cannotOpen: "\(file): cannot open the capture: \(detail)"
    case .notACapture: "\(file): not a capture: \(detail); give a pcap or pcapng file"
    case .linkTypeUnsupported(let type):
      "\(file): link type \(type.rawValue) (\(detail)) is not supported; "
        + "give 802.15.4 (195, 215, 230, 283), or Ethernet or raw IP that carries ZEP"
    case .damagedRecord(let number):
      "\(file): record \(number) is damaged: \(detail); "
        + (number == 1 ? "there is none before it" : "the \(number - 1) before it were read")
    case .cannotWrite: "\(file): cannot write the capture: \(detail)"
    }
  }
}
