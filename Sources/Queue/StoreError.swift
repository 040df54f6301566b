import Wire

/// A store that cannot do what it was asked: nothing of the transaction was kept.
public struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable, Hashable {
    /// Another process holds the state directory.
    case inUse
    /// The directory or the file cannot be created, read or written.
    case notWritable
    /// The file is not a database, or a damaged one.
    case corrupt
    /// The file was written by a newer version, whose schema this one does not know.
    case newerSchema
    /// The servers that keep it are too old to be relied on.
    case outdated
    /// No space is left on the device.
    case full
    /// Any other failure of the storage.
    case failed
    /// The store was closed, or its power was cut.
    case closed
    /// The caller gave the transaction up.
    case abandoned
  }

  public var kind: Kind
  /// The file or directory, where there is one.
  public var path: String?
  /// What the storage said.
  public var detail: String

  public init(_ kind: Kind, path: String? = nil, detail: String = "") {
    self.kind = kind
    self.path = path
    self.detail = detail
  }

  /// Thrown inside a transaction to undo it on purpose.
  public static let abandoned = StoreError(.abandoned)

  /// The reason under which the refusal of a message is counted.
  public var reason: DropReason { .queueUnavailable }

  /// What the operator can do about it.
  public var remedy: String {
    switch kind {
    case .inUse: "stop the other process, or give this one its own state directory"
    case .notWritable: "make the directory writable for this user"
    case .corrupt: "move the file away, or restore it from a copy; what it held is lost"
    case .newerSchema: "use the version of Pangate that wrote it, or a newer one"
    case .outdated: "install a newer version of them"
    case .full: "free space on the device"
    case .failed: "check the device and the file system, or the servers that keep it"
    case .closed: "start again"
    case .abandoned: "none is needed"
    }
  }

  public var description: String {
    let what =
      switch kind {
      case .inUse: "state directory in use by another process"
      case .notWritable: "state directory cannot be written"
      case .corrupt: "database is corrupt"
      case .newerSchema: "database has a newer schema"
      case .outdated: "the servers are too old"
      case .full: "no space left"
      case .failed: "storage failed"
      case .closed: "store is closed"
      case .abandoned: "transaction was given up"
      }
    return what + (path.map { ": \($0)" } ?? "") + (detail.isEmpty ? "" : " (\(detail))")
      + "; remedy: \(remedy)"
  }
}
