public import Wire

/// A message that cannot be protected, or a response that is not to be processed (RFC 8613, 8.1, 8.3 and 8.4).
///
/// Nothing is sent for it: what a server answers to a bad request is an ``OSCORERefusal``.
public struct OSCOREError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was wrong.
  public var reason: DropReason

  public init(_ reason: DropReason) { self.reason = reason }

  public var description: String { reason.name }
}
