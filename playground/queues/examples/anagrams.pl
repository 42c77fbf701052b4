#!/usr/bin/env perl
# Words that are made of the same letters. Speaks the worker protocol, so all of the context is there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../lib/perl";
use NuxtQueue;

NuxtQueue::serve(sub {
    my ($job, $ctx) = @_;
    my %groups;
    push @{ $groups{ join '', sort split //, lc } }, $_ for @{ $job->{data}{words} };
    my @found = sort { $a->[0] cmp $b->[0] } grep { @$_ > 1 } values %groups;
    $ctx->notify('ctx.logger.log', level => 'info', message => scalar(@found) . ' groups');
    $ctx->call('ctx.state.set', key => 'groups', value => scalar @found);
    $ctx->call('ctx.progress', value => 1);
    return \@found;
});
