import Wire

/// Durable storage for mailboxes: primitives without rules, which are in ``Mailboxes``.
///
/// A store is a class, since it stands for one file. It is used by one task at a time and is synchronous. A
/// primitive that is called outside ``transaction(_:)`` is a transaction of its own.
public protocol MailboxStore: AnyObject {
  /// Runs `body`. When this returns, everything done inside is on disk; when it throws, nothing of it is.
  ///
  /// Transactions nest: an inner one that throws undoes only its own changes, and an inner one that returns
  /// becomes durable with the outermost. Throw ``StoreError/abandoned`` to undo on purpose.
  func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result

  /// How many transactions were undone since the store was opened: whoever remembers what it wrote compares.
  var undoneTransactions: UInt64 { get }

  // MARK: Messages

  /// Stores the bytes once and a message in each of `mailboxes`, each with the next number of its mailbox.
  /// Returns the numbers in the order of `mailboxes`, which must be distinct.
  func put(_ deposit: Deposit, in mailboxes: [Mailbox]) throws(StoreError) -> [UInt64]

  /// The message with the lowest number over `number`; the oldest for 0.
  func next(in mailbox: Mailbox, after number: UInt64) throws(StoreError) -> HeldMessage?

  /// Up to `limit` messages with numbers over `number`, in order.
  func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage]

  /// Removes a message, and its bytes when no other mailbox holds them. False if there is none with this
  /// number.
  @discardableResult
  func remove(_ number: UInt64, in mailbox: Mailbox) throws(StoreError) -> Bool

  /// What one mailbox holds.
  func usage(of mailbox: Mailbox) throws(StoreError) -> Usage

  /// What all mailboxes hold together; bytes that several mailboxes share count once.
  func totalUsage() throws(StoreError) -> Usage

  /// The mailboxes that hold anything, by kind and address.
  func mailboxes() throws(StoreError) -> [(mailbox: Mailbox, usage: Usage)]

  /// The oldest message of `sender` with this topic in `mailbox`.
  func first(topic: UInt64, of sender: Bytes32, in mailbox: Mailbox) throws(StoreError) -> HeldMessage?

  /// The oldest no-consequence message of `mailbox`, or of all mailboxes for `nil`. What came together is
  /// ordered by kind and address of its mailbox, here and wherever messages of several mailboxes are listed.
  func oldestNoConsequence(in mailbox: Mailbox?) throws(StoreError) -> HeldMessage?

  /// Up to `limit` messages that expire at `instant` or before, those that expired first coming first.
  func expired(at instant: Instant, limit: Int) throws(StoreError) -> [HeldMessage]

  /// When the first held message expires; `nil` if none ever does.
  func earliestExpiry() throws(StoreError) -> Instant?

  /// Up to `limit` held messages of one sender, oldest first.
  func list(from sender: Bytes32, limit: Int) throws(StoreError) -> [HeldMessage]

  // MARK: Replay records

  /// The digest recorded for (scope, sender, seq).
  func digest(of key: ReplayKey) throws(StoreError) -> Bytes32?

  /// Records a digest. Fails if there is one for the key already.
  func record(_ digest: Bytes32, for key: ReplayKey) throws(StoreError)

  /// The records of one sender: how many, and the highest sequence number that was pruned.
  func replayWindow(_ scope: ReplayScope, of sender: Bytes32) throws(StoreError) -> HomeRecords

  /// Forgets all but the `keeping` highest sequence numbers of one sender and raises its floor accordingly.
  func pruneReplay(_ scope: ReplayScope, of sender: Bytes32, keeping: Int) throws(StoreError)

  // MARK: Counters and values

  /// A persistent number; 0 until set.
  func counter(_ name: String) throws(StoreError) -> UInt64
  func setCounter(_ name: String, to value: UInt64) throws(StoreError)

  /// A small persistent value, such as the epoch of a peer record; `nil` until set.
  func value(_ name: String) throws(StoreError) -> [UInt8]?
  /// Sets a value, or removes it with `nil`.
  func setValue(_ name: String, to value: [UInt8]?) throws(StoreError)
  /// The values whose names begin with `prefix`, in the order of the bytes of their names.
  func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])]

  /// Writes a copy of everything to `path`, which must not be there yet, while the store is in use.
  func backup(to path: String) throws(StoreError)
}

extension MailboxStore {
  public func backup(to path: String) throws(StoreError) {
    throw StoreError(.failed, path: path, detail: "this store has nothing to copy")
  }
}
