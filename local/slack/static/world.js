// What the acting user knows, in the words the renderers need.

const OUTSIDERS = ["deleted", "is_bot"];

export class World {
  constructor(state) {
    this.state = state;
    this.me = state.me;
    this.users = new Map(state.users.map((user) => [user.id, user]));
    this.groups = new Map(state.groups.map((group) => [group.id, group]));
    this.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
    this.zone = this.users.get(state.me).tz;
    this.people = state.users.filter((user) => !OUTSIDERS.some((flag) => user[flag]));
    this.places = state.channels.filter((channel) => !channel.is_im).map((channel) => [channel.id, `#${channel.name}`]);
  }

  userName(id) {
    return this.users.get(id)?.real_name ?? id;
  }

  groupName(id) {
    return this.groups.get(id)?.handle ?? id;
  }

  channelName(id) {
    return this.channels.get(id)?.name ?? id;
  }

  inGroup(id) {
    return this.groups.get(id)?.members.includes(this.me) ?? false;
  }

  title(channel) {
    return channel.is_im ? this.state.app.name : `#${channel.name}`;
  }

  pingName(target) {
    if (this.users.has(target)) return `@${this.userName(target)}`;
    return this.groups.has(target) ? `@${this.groupName(target)}` : `@${target}`;
  }
}

export function flagsOf(user, groups, team) {
  const words = groups.filter((group) => group.members.includes(user.id)).map((group) => `@${group.handle}`);
  const flags = {
    is_admin: "admin", is_restricted: "guest", is_ultra_restricted: "single-channel guest", deleted: "deactivated",
    is_stranger: "from another team", is_bot: "bot", is_invited_user: "invited",
  };
  for (const [flag, word] of Object.entries(flags)) if (user[flag]) words.push(word);
  if (user.team_id && user.team_id !== team && !user.is_stranger) words.push("from another team");
  return words.join(" · ");
}
