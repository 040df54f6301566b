import Wire

/// What is put into mailboxes at once with others, and how it is told from what was taken before.
public struct RelayDeposit: Hashable, Sendable {
  public var deposit: Deposit
  /// For whom it is; each takes it, or refuses, for itself.
  public var mailboxes: [Mailbox]
  /// `nil` for a message of the relay's own making.
  public var deduplication: Deduplication?

  public init(_ deposit: Deposit, in mailboxes: [Mailbox], deduplication: Deduplication? = nil) {
    self.deposit = deposit
    self.mailboxes = mailboxes
    self.deduplication = deduplication
  }
}

/// A held message by name.
public struct MessageName: Hashable, Sendable {
  public var mailbox: Mailbox
  public var number: UInt64

  public init(_ mailbox: Mailbox, _ number: UInt64) {
    self.mailbox = mailbox
    self.number = number
  }
}

/// What comes to a relay from others that share its store, on any thread.
public enum RelayStoreNews: Hashable, Sendable {
  /// A served mailbox has something to ``RelayStore/list(in:after:limit:)``.
  case arrival(Mailbox)
  /// Another relay serves this mailbox now.
  case replaced(Mailbox)
  /// A value that is shared was set by another relay.
  case value(String, [UInt8])
  /// The store works again, or does not.
  case availability(Bool)
}

/// What a relay keeps, on one machine or on many: mailboxes, replay records, access lists.
///
/// One protocol for ``LocalRelayStore``, over any ``MailboxStore``, and for clusters. Everything that returns without an
/// error is durable: on disk, or acknowledged by a quorum. Calls block, and come from one thread at a time.
public protocol RelayStore: AnyObject {
  /// Runs `body`. A store on one machine keeps all of what is done inside or nothing. A cluster cannot undo: there, each
  /// call inside is durable for itself, and what is repeated is recognised.
  func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result

  /// Takes custody of each deposit, all of them durable when this returns; results in order.
  ///
  /// The rules are those of ``Mailboxes/put(_:in:deduplication:)``. When this throws, no custody was taken: senders try
  /// again, and what was stored all the same is recognised by its deduplication.
  func put(_ group: [RelayDeposit]) throws(StoreError) -> [PutOutcome]

  /// Whether a message was taken before; `nil` if it is new. ``PutOutcome/refused(_:)`` with
  /// ``DropReason/envelopeReplayOtherBytes`` for other bytes under its number.
  func replayed(_ sender: Bytes32, _ seq: UInt64, _ deduplication: Deduplication) throws(StoreError) -> PutOutcome?

  /// Up to `limit` messages with numbers over `number`, in held order. In a cluster, of a mailbox that is served.
  func list(in mailbox: Mailbox, after number: UInt64, limit: Int) throws(StoreError) -> [HeldMessage]

  /// The mailboxes that hold anything, where that is cheap to say; `nil`, which is the default, where it is not.
  func holders() throws(StoreError) -> Set<Mailbox>?

  /// Removes messages for good; unknown ones are harmless.
  func confirm(_ messages: [MessageName]) throws(StoreError)

  /// Removes up to `limit` messages that expire at `now` or before, and returns them. `report` makes the answer to a
  /// sender, which is durable no later than the removal.
  func expire(
    now: Instant, limit: Int, report: (HeldMessage) throws(StoreError) -> RelayDeposit?
  ) throws(StoreError) -> [HeldMessage]

  /// When to call ``expire(now:limit:report:)`` next; `nil` for never.
  func nextExpiry() throws(StoreError) -> Instant?

  /// Removes what `sender` sent, as far as `condition` holds, counted under `reason`, and returns it. A cluster may find
  /// nothing: whoever delivers asks the access list again.
  func remove(
    from sender: Bytes32, reason: DropReason, where condition: (HeldMessage) -> Bool
  ) throws(StoreError) -> [HeldMessage]

  /// Empties a mailbox, counted under `reason`.
  func removeAll(in mailbox: Mailbox, reason: DropReason) throws(StoreError)

  /// What one mailbox holds, and what all hold together.
  func usage(of mailbox: Mailbox) throws(StoreError) -> Usage
  func totalUsage() throws(StoreError) -> Usage

  /// Adds to a persistent number and returns what it was before; 0 at first.
  func advance(_ counter: String, by count: UInt64) throws(StoreError) -> UInt64

  /// Small persistent values, shared by all relays of a cluster.
  func values(withPrefix prefix: String) throws(StoreError) -> [(name: String, value: [UInt8])]
  func setValue(_ name: String, to value: [UInt8]) throws(StoreError)

  /// From now on a client here is served this mailbox; whoever served it before does not any more. What was listed there
  /// and not confirmed comes again.
  func serve(_ mailbox: Mailbox) throws(StoreError)
  /// No client here is served it any more.
  func release(_ mailbox: Mailbox) throws(StoreError)

  /// Whether other relays share the store: then what is put comes back as ``RelayStoreNews/arrival(_:)``, here or elsewhere,
  /// and is listed; otherwise it may be handed out at once under the numbers that ``put(_:)`` gives. False unless it says so.
  var isShared: Bool { get }

  /// Called from any thread.
  var news: (@Sendable (RelayStoreNews) -> Void)? { get set }

  /// Passes a chunk of a stream, which nobody stores, to whichever relay serves the address; does nothing where there is
  /// no other.
  func publishChunk(_ bytes: [UInt8], to address: Bytes32) throws(StoreError)

  /// Called with each chunk that another relay passes on for a served address, on any thread.
  var onChunk: (@Sendable (Bytes32, [UInt8]) -> Void)? { get set }

  /// What was refused or dropped, by reason.
  var counters: DropCounters { get }

  /// Writes a copy that can be opened instead, while in use. Throws ``StoreError`` where the store has tools of its own.
  func backup(to path: String) throws(StoreError)
}

extension RelayStore {
  public var isShared: Bool { false }
  public func publishChunk(_ bytes: [UInt8], to address: Bytes32) throws(StoreError) {}
  public var onChunk: (@Sendable (Bytes32, [UInt8]) -> Void)? {
    get { nil }
    set {}
  }
  public func holders() throws(StoreError) -> Set<Mailbox>? { nil }
}
