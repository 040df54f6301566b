/// What protection an envelope has, and what protection a device's traffic needs: the higher, the more.
@frozen
public enum EnvelopeClass: UInt8, CaseIterable, Sendable, Hashable, Comparable {
  /// Nobody is hurt if it is read or forged: temperature, rain.
  case noConsequence = 0
  /// Signed, readable by every hop: locks, irrigation, alarms.
  case authOnly = 1
  /// Signed and encrypted to its recipients: cameras, occupancy.
  case confidential = 2
  /// A chunk of a stream, sealed with the stream's key and never stored. As strong as ``confidential``, but no
  /// class that a member can have.
  case stream = 3

  /// The words of the command line, of configuration files and of Config/demo/peer-record.json.
  public var name: String {
    switch self {
    case .noConsequence: "no-consequence"
    case .authOnly: "auth-only"
    case .confidential: "confidential"
    case .stream: "stream"
    }
  }

  /// Reads ``name``.
  public init?(name: some StringProtocol) {
    guard let found = EnvelopeClass.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// Whether traffic of this class is protected at least as well as `demanded`: stronger is always allowed.
  @inlinable public func satisfies(_ demanded: EnvelopeClass) -> Bool { self >= demanded }

  @inlinable public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
