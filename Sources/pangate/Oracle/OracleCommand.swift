import ArgumentParser
import Crypto
import Envelope
import Foundation
import Oracle
import Wire

/// `pangate oracle`: who may talk to whom.
struct OracleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "oracle",
    abstract: "Make a group, admit and remove its members, and sign what they and the relays obey.",
    discussion: """
      EXAMPLES
        pangate oracle init
        pangate oracle admit --name relay --role relay --identity relay.pem --url coaps+tcp://relay.example
        pangate oracle admit --name home --role gateway --identity gateway.pem
        pangate oracle admit --name phone --role endpoint --code "$(cat phone.code)"
        pangate oracle admit --name lock --role node --gateway home --reader phone --commander phone --code 'PANGATE:1:1:C:...'
        pangate oracle remove phone
        pangate oracle list

      Docs/ENROLMENT.md goes through a home.

      \(Exit.help)
      """,
    subcommands: [
      OracleInitCommand.self, OracleAdmitCommand.self, OracleRemoveCommand.self, OraclePublishCommand.self,
      OracleListCommand.self,
    ])
}

/// `pangate oracle init`
struct OracleInitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a new group with a new oracle, in a state directory of its own.",
    discussion: """
      EXAMPLES
        pangate oracle init
        pangate oracle init --state /var/lib/pangate-oracle --name oracle

      \(Exit.help)
      """)

  @OptionGroup var options: OracleOptions
  @Option(help: "The oracle's name in the record.") var name = "oracle"

  func run() throws {
    var random = SystemRandomNumberGenerator()
    let identity: Identity
    do {
      identity = try Identity.new(
        name: name, validFrom: Instant(seconds: Int64(OracleState.now)), using: &random)
    } catch { throw Failure.usage(error.description) }
    let group = OracleState.random(GroupEpoch.groupLength)
    do {
      try FileManager.default.createDirectory(
        atPath: options.state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw Failure.cannotStart("\(options.state): cannot be made: \(error.localizedDescription)") }
    try SecretFile.write(IdentityFile.text(of: identity), to: OracleState.identityFile(options.state), force: false)
    do {
      try OracleState.create(options.state, Oracle(founding: group, identity: identity, now: OracleState.now))
    } catch let error as OracleError { throw Failure.usage("\(error)") }
    print("\(options.state): group \(group.hex), epoch 1")
    print("oracle  \(identity.address)")
  }
}

/// `pangate oracle remove`
struct OracleRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a member: relays refuse it from their answer on, peers when they hear of it.",
    discussion: """
      EXAMPLES
        pangate oracle remove phone2
        pangate oracle remove lock --no-publish --output signed

      \(Exit.help)
      """)

  @OptionGroup var options: OracleOptions
  @Argument(help: "Its name.") var name: String
  @OptionGroup var publishing: PublishOptions
  @Flag(help: "As JSON, one object a line.") var json = false

  func run() async throws {
    let state = try OracleState(options.state)
    let linkKey = OracleState.random(LinkKey.length)
    try state.change { (oracle) throws(OracleError) in
      try oracle.remove(name, linkKey: linkKey, now: OracleState.now)
    }
    if !json { print("\(name): removed in epoch \(state.oracle.record.version.epoch)") }
    try await publishing.run(state, json: json)
    state.close()
  }
}

/// `pangate oracle publish`
struct OraclePublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Hand the current epoch to the relays, for themselves and for all members.",
    discussion: """
      EXAMPLES
        pangate oracle publish
        pangate oracle publish --no-publish --output signed     (files only, for members that have no relay yet)

      \(Exit.help)
      """)

  @OptionGroup var options: OracleOptions
  @OptionGroup var publishing: PublishOptions
  @Flag(help: "As JSON, one object a line.") var json = false

  func run() async throws {
    let state = try OracleState(options.state)
    try await publishing.run(state, json: json)
    state.close()
  }
}

/// `pangate oracle list`
struct OracleListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show the members of the group.",
    discussion: """
      EXAMPLES
        pangate oracle list
        pangate oracle list --json

      \(Exit.help)
      """)

  @OptionGroup var options: OracleOptions
  @Flag(help: "As JSON, one object a line.") var json = false

  struct Line: Encodable {
    var name: String
    var roles: [String]
    var `class`: String
    var address: String
    var eui64: String?
    var gateway: String?
    var readers: [String]
    var commanders: [String]
    var traits: [String]
    var url: String?
  }

  func run() throws {
    let state = try OracleState(options.state)
    let record = state.oracle.record
    let names = Dictionary(uniqueKeysWithValues: record.members.map { ($0.address, $0.name) })
    let lines = record.members.map { member in
      Line(
        name: member.name, roles: member.roles.names, class: member.class.name,
        address: member.address.description, eui64: member.eui64.map { String(format: "%016llx", $0) },
        gateway: member.gateway.flatMap { names[$0] }, readers: member.readers.compactMap { names[$0] },
        commanders: member.commanders.compactMap { names[$0] }, traits: member.traits.names,
        url: record.relays.first { $0.address == member.address }?.url)
    }
    if json {
      for line in lines { print(JSONOutput.line(line)) }
      return
    }
    let isPublished = state.published == record.version.epoch
    print("group \(record.version.group.hex), epoch \(record.version.epoch)\(isPublished ? "" : ", not handed in yet")")
    var table = TextTable(["name", "role", "class", "address", "radio", "gateway", "readers", "commanders", "notes"])
    for line in lines {
      table.add([
        line.name, line.roles.joined(separator: " "), line.class, String(line.address.prefix(16)), line.eui64 ?? "",
        line.gateway ?? "", line.readers.joined(separator: " "), line.commanders.joined(separator: " "),
        line.url ?? line.traits.joined(separator: ", "),
      ])
    }
    print(table.text)
    state.close()
  }
}
