/// A radio that cannot be used, said in one line: which, what is wrong, what to do.
public struct RadioError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// There is no such device, interface or address.
    case notFound
    /// It is there, and this user may not open it.
    case noPermission
    /// Another program has it.
    case inUse
    /// It is not a radio that this driver knows: garbage on the line, an unknown firmware or version.
    case notSupported
    /// It does not answer.
    case silent
    /// It was there and is gone.
    case gone
    /// It refuses a setting: a channel that it does not have, for example.
    case settingRefused
    /// Anything else that the system or the device said.
    case failed
  }

  public var kind: Kind
  /// The radio as the user named it.
  public var radio: String
  /// What is wrong.
  public var detail: String
  /// What to do about it; empty if waiting may help and nothing else.
  public var remedy: String

  public init(_ kind: Kind, radio: String, detail: String, remedy: String = "") {
    self.kind = kind
    self.radio = radio
    self.detail = detail
    self.remedy = remedy
  }

  /// Whether trying again can help without anybody doing anything.
  public var canHeal: Bool { kind != .settingRefused && kind != .notSupported }

  public var description: String { "\(radio): \(detail)" + (remedy.isEmpty ? "" : "; \(remedy)") }
}
