import Dispatch
import Envelope
import Foundation
import Logging
import Queue
import Synchronization
import Wire

/// The one thread of a relay that stores: takes what has come in the meantime as one group, stores it at one sync of the
/// disk, answers, and hands out what is held, a window at a time for each connection.
final class RelayEngine<Store: RelayStore> {
  let inbox: RelayInbox
  let members: RelayMembers
  let registry: RelayRegistry
  let metrics: RelayMetrics
  let limits: RelayServerLimits
  let logger: Logger
  let clock: @Sendable () -> Instant
  var core: RelayCore<Store>
  var clients: [RelayPeer: Client] = [:]
  private var served: [Mailbox: Served] = [:]
  var replies: [RelayPeer: [RelayReply]] = [:]
  private var isStopping = false
  /// Envelopes since work was taken.
  private var stored = 0
  private var isAvailable = true
  /// When a store that had failed was tried last.
  private var tried: Instant?
  /// When the store failed last.
  private var failed: Instant?
  /// What was taken while the store could not forget it.
  private var unconfirmed: [MessageName] = []
  /// When what is held was measured last.
  private var published: Instant?

  init(
    _ core: RelayCore<Store>, inbox: RelayInbox, members: RelayMembers, registry: RelayRegistry, metrics: RelayMetrics,
    limits: RelayServerLimits, logger: Logger, clock: @escaping @Sendable () -> Instant
  ) {
    self.core = core
    self.inbox = inbox
    self.members = members
    self.registry = registry
    self.metrics = metrics
    self.limits = limits
    self.logger = logger
    self.clock = clock
    core.store.news = { [inbox] in inbox.put(.news($0)) }
    core.store.onChunk = { [registry] address, bytes in
      guard let address = Address(address), let peer = registry.peer(address) else { return }
      peer.tell([.chunk(RelayChunk(bytes: bytes, credit: nil))])
    }
  }

  /// Runs until it is told to stop; what was put before that is done.
  func run() {
    adoptStoredLists()
    while !isStopping { turn() }
  }

  /// Waits for work, does it, and what is due.
  func turn() {
    gather()
    let work = inbox.take(timeout: deadline())
    take(work)
    // A cluster that does not answer would be waited for.
    if isStopping { return flush() }
    expire()
    tryAgain()
    flush()
    publish()
  }

  /// Under load, lets more come before the next sync: each costs the same, for one envelope or for a hundred.
  private func gather() {
    let isBusy = stored >= limits.envelopesWorthWaiting
    stored = 0
    if isBusy { Thread.sleep(forTimeInterval: Double(limits.gatherTime.nanoseconds) / 1e9) }
  }

  private func deadline() -> DispatchTime {
    let longest = DispatchTime.now() + .seconds(5)
    guard let next = (try? core.earliestExpiry()) ?? nil else { return longest }
    let wait = clock().duration(to: next)
    let milliseconds = wait.components.seconds * 1000 + wait.components.attoseconds / 1_000_000_000_000_000
    return min(longest, DispatchTime.now() + .milliseconds(Int(max(10, min(milliseconds + 1, 5_000)))))
  }

  // MARK: Work

  private func take(_ work: [RelayWork]) {
    var group = Group()
    for item in work {
      switch item {
      case .submit(let admitted, let peer, let ticket):
        group.submits.append((admitted, peer, ticket))
        if group.submits.count >= limits.envelopesInGroup { commit(&group) }
      case .taken(let name, let peer): group.taken.append((name, peer))
      default:
        commit(&group)
        take(item)
      }
    }
    commit(&group)
  }

  /// Stores what came together, and forgets what was taken, then answers.
  private func commit(_ group: inout Group) {
    guard !group.isEmpty else { return }
    let now = clock()
    let taken = group.taken.compactMap { name, peer in withdraw(name, from: peer) }
    let names = unconfirmed + taken.map { MessageName($0.mailbox, $0.number) }
    unconfirmed = []
    for message in taken { metrics.delivered(after: message.accepted, at: now) }
    var result = CommitResult()
    let begun = DispatchTime.now()
    do throws(StoreError) {
      if group.submits.isEmpty {
        try core.store.confirm(names)
      } else {
        let admitted = group.submits.map(\.0)
        // One sync for both. What is forgotten makes room for what comes.
        try core.transaction { (core) throws(StoreError) in
          try core.store.confirm(names)
          result = core.commit(admitted, now: now)
        }
      }
      note(available: !result.outcomes.contains { $0.isUnavailable } || result.outcomes.contains { !$0.isUnavailable })
    } catch {
      note(available: false, error)
      result = CommitResult(outcomes: group.submits.map { _ in .refused(error.reason) })
      // To forget may need less than to store; if not even that works, it is done with the next group.
      do throws(StoreError) { try core.store.confirm(names) } catch { unconfirmed = names }
    }
    metrics.committed(group.submits.count, since: begun)
    stored += group.submits.count
    for (submit, outcome) in zip(group.submits, result.outcomes) {
      metrics.count(outcome)
      replies[submit.1, default: []].append(.answer(submit.2, outcome))
    }
    if !core.store.isShared { for message in result.arrivals { handOut(message) } }
    for mailbox in core.takeTold() { wake(mailbox) }
    for peer in Set(group.taken.map(\.1)) { refill(peer) }
    group = Group()
    flush()
  }

  private func take(_ work: RelayWork) {
    switch work {
    case .submit, .taken: break
    case .accessList(let envelope, let peer, let ticket): accept(envelope, peer, ticket)
    case .open(let session, let peer): open(session, peer)
    case .closed(let peer): close(peer)
    case .held(let peer, let exchange):
      let mailboxes = clients[peer]?.session.served.map(\.mailbox) ?? []
      let holders = (try? core.store.holders()) ?? nil
      let count = try? mailboxes.filter { holders?.contains($0) ?? true }
        .reduce(0) { $0 + (try core.store.usage(of: $1)).messages }
      replies[peer, default: []].append(.held(exchange, count))
    case .rejected(let name, let reason, let peer): reject(name, reason, peer)
    case .news(let news): take(news)
    case .chunk(let chunk, let addresses):
      for address in addresses {
        do throws(StoreError) {
          try core.store.publishChunk(chunk.bytes, to: address.opaque)
          // Nobody can say whether it is taken there; who has it comes back as an answer to nothing.
          chunk.credit?.taken()
        } catch { chunk.credit?.failed() }
      }
    case .status(let reply): reply(status())
    case .backup(let path, let reply):
      do throws(StoreError) {
        try core.store.backup(to: path)
        reply(nil)
      } catch { reply(error) }
    case .stop: isStopping = true
    }
    flush()
  }

  private func take(_ news: RelayStoreNews) {
    switch news {
    case .arrival(let mailbox): wake(mailbox)
    case .replaced(let mailbox): if let peer = served[mailbox]?.peer { withdraw(mailbox, from: peer) }
    case .value(let name, let bytes): if core.adopt(accessList: name, bytes) { obey() }
    case .availability(let isAvailable):
      note(available: isAvailable)
      guard isAvailable else { return }
      adoptStoredLists()
      // What was lost with the connection may come with lower numbers than the last.
      for mailbox in Array(served.keys) {
        served[mailbox]?.cursor = 0
        wake(mailbox)
      }
    }
  }

  private func note(available: Bool, _ error: StoreError? = nil) {
    let now = clock()
    if !available { failed = now }
    guard available != isAvailable else { return }
    // Of a cluster one stream may work while another has no leader: not well and ill by turns.
    if available, let failed, failed <= now, failed.duration(to: now) < .seconds(1) {
      // Soon enough.
      tried = now.advanced(by: .seconds(-4))
      return
    }
    isAvailable = available
    metrics.set(ready: available)
    tried = available ? nil : now
    if available { logger.notice("the store works again") } else { logger.error("\(error?.description ?? "no store")") }
  }

  /// Finds out by itself whether a store that had failed works again: nobody may send anything to a relay that is not ready.
  private func tryAgain() {
    guard !isAvailable, let tried else { return }
    let now = clock()
    // A clock that was set back says nothing.
    guard tried > now || tried.duration(to: now) >= .seconds(5) else { return }
    do throws(StoreError) {
      try core.probe()
      note(available: true)
    } catch { logger.debug("\(error)") }
    // From the end of the attempt, which may have waited long for an answer.
    if !isAvailable { self.tried = clock() }
  }

  // MARK: Connections

  private func open(_ session: RelaySession, _ peer: RelayPeer) {
    // The access list may have changed while the request was on its way here.
    guard core.members.mayServe(session, session.client) else {
      replies[peer, default: []].append(.end(.senderRevoked))
      return
    }
    close(peer)
    var client = Client(session: session, wasOpened: clock())
    for address in session.served {
      let mailbox = address.mailbox
      if let other = served[mailbox]?.peer, other != peer { withdraw(mailbox, from: other) }
      do throws(StoreError) { try core.store.serve(mailbox) } catch {
        note(available: false, error)
        // Nothing would ever be handed out in such a session: better none, and the client comes again.
        for mailbox in client.waiting { served[mailbox] = nil }
        for mailbox in client.waiting { try? core.store.release(mailbox) }
        replies[peer, default: []].append(.end(error.reason))
        return
      }
      served[mailbox] = Served(peer: peer)
      client.waiting.append(mailbox)
    }
    // Few of a gateway's many mailboxes hold something.
    if let holders = (try? core.store.holders()) ?? nil {
      for mailbox in client.waiting where !holders.contains(mailbox) { served[mailbox]?.hasBacklog = false }
      client.waiting = client.waiting.filter { holders.contains($0) }
    }
    clients[peer] = client
    registry.set(session.served, peer)
    metrics.set(sessions: clients.count)
    replies[peer, default: []].append(.opened)
    refill(peer)
  }

  /// A newer connection collects a mailbox; one that has none left is over.
  private func withdraw(_ mailbox: Mailbox, from peer: RelayPeer) {
    guard let session = clients[peer]?.session else { return }
    if session.client.mailbox == mailbox {
      replies[peer, default: []].append(.end(.sessionReplaced))
      close(peer)
    }
  }

  func close(_ peer: RelayPeer) {
    guard let client = clients.removeValue(forKey: peer) else { return }
    for address in client.session.served where served[address.mailbox]?.peer == peer {
      served[address.mailbox] = nil
      do throws(StoreError) { try core.store.release(address.mailbox) } catch { note(available: false, error) }
    }
    registry.remove(client.session.served, peer)
    metrics.set(sessions: clients.count)
  }

  // MARK: Delivery

  /// Hands a message that was just stored to its connection, if that has room and nothing waits before it.
  private func handOut(_ message: HeldMessage) {
    guard let state = served[message.mailbox], let client = clients[state.peer] else { return }
    // One that arrived with it may have woken the mailbox, and both were sent then.
    guard message.number > state.cursor else { return }
    guard !state.hasBacklog, hasRoom(client, for: message) else { return wake(message.mailbox) }
    send(message, to: state.peer)
  }

  private func hasRoom(_ client: Client, for message: HeldMessage? = nil) -> Bool {
    client.inFlight.count < limits.window
      && (client.inFlight.isEmpty || client.bytes + (message?.bytes.count ?? 0) <= limits.windowBytes)
  }

  private func send(_ message: HeldMessage, to peer: RelayPeer) {
    served[message.mailbox]?.cursor = message.number
    clients[peer]?.inFlight[MessageName(message.mailbox, message.number)] = message
    clients[peer]?.bytes += message.bytes.count
    replies[peer, default: []].append(.deliver(message))
  }

  /// There may be something in a mailbox.
  func wake(_ mailbox: Mailbox) {
    guard let state = served[mailbox] else { return }
    if !state.hasBacklog {
      served[mailbox]?.hasBacklog = true
      clients[state.peer]?.waiting.append(mailbox)
    }
    refill(state.peer)
  }

  private func refill(_ peer: RelayPeer) {
    let now = clock()
    while let client = clients[peer], hasRoom(client), let mailbox = client.waiting.first {
      guard let state = served[mailbox], state.peer == peer, let address = Address(mailbox.address) else {
        clients[peer]?.waiting.removeFirst()
        continue
      }
      let limit = min(16, limits.window - client.inFlight.count)
      let messages: [HeldMessage]
      do throws(StoreError) {
        messages = try core.pending(address, after: state.cursor, limit: limit + client.inFlight.count, now: now)
      } catch {
        return note(available: false, error)
      }
      clients[peer]?.waiting.removeFirst()
      var sent = 0
      for message in messages {
        // Listed again from the beginning, perhaps.
        guard client.inFlight[MessageName(mailbox, message.number)] == nil else {
          sent += 1
          continue
        }
        guard let client = clients[peer], hasRoom(client, for: message) else { break }
        send(message, to: peer)
        sent += 1
      }
      if messages.count < limit + client.inFlight.count && sent == messages.count {
        served[mailbox]?.hasBacklog = false
      } else {
        // The next mailbox gets its turn first.
        clients[peer]?.waiting.append(mailbox)
        if sent < messages.count { break }
      }
    }
  }

  /// A message that was handed to this connection and is on its way no more; `nil` if it was not.
  private func withdraw(_ name: MessageName, from peer: RelayPeer) -> HeldMessage? {
    guard let message = clients[peer]?.inFlight.removeValue(forKey: name) else { return nil }
    clients[peer]?.bytes -= message.bytes.count
    return message
  }

  private func reject(_ name: MessageName, _ reason: DropReason, _ peer: RelayPeer) {
    guard let session = clients[peer]?.session, let message = withdraw(name, from: peer) else { return }
    metrics.rejected(reason)
    do throws(StoreError) {
      try core.rejected(message, in: session, reason: reason, now: clock())
    } catch { note(available: false, error) }
    for mailbox in core.takeTold() { wake(mailbox) }
    refill(peer)
  }

  /// Sends off what was said to each connection.
  private func flush() {
    guard !replies.isEmpty else { return }
    for (peer, replies) in replies { peer.tell(replies) }
    replies.removeAll(keepingCapacity: true)
  }

  // MARK: Time

  private func expire() {
    do throws(StoreError) {
      if try core.expire(now: clock()) > 0 { for mailbox in core.takeTold() { wake(mailbox) } }
    } catch { note(available: false, error) }
  }

  // MARK: People

  private func status() -> RelayStatus {
    let sessions = clients.values.map { client in
      RelayStatus.Session(
        client: client.session.client.description, mailboxes: client.session.served.count,
        inFlight: client.inFlight.count, since: client.wasOpened.seconds)
    }
    return RelayStatus(core, sessions: sessions, isReady: isAvailable)
  }

  /// A cluster is asked for this over the network: not with every group.
  private func publish() {
    let now = clock()
    if let published, published <= now, published.duration(to: now) < .seconds(1) { return }
    published = now
    guard isAvailable, let usage = try? core.store.totalUsage() else { return }
    metrics.held(usage)
  }
}
